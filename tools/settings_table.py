"""`python -m tools.settings_table`: writes the table of docs/settings.md from the settings models."""

import re
from collections.abc import Iterator
from pathlib import Path

from tagify.settings import PREFIX, SERVICES

PAGE = Path(__file__).parents[1] / "docs/settings.md"
ROW = re.compile(r"^\| `TAGIFY_.*\n", re.MULTILINE)


def rows() -> Iterator[str]:
    """A row for each setting, in the order of the models; those that several services share once."""
    fields = {name: field for model in SERVICES for name, field in model.model_fields.items()}
    for name, field in fields.items():
        default = field.default
        if hasattr(default, "get_secret_value"):
            default = default.get_secret_value()
        if isinstance(default, tuple):
            default = ",".join(map(str, default))
        value = f"`{default}`" if str(default) else "(empty)"
        yield f"| `{PREFIX}{name.upper()}` | {value} | {field.description} |\n"


def main() -> None:
    """Replace the rows of the page."""
    text = PAGE.read_text()
    first = ROW.search(text)
    assert first is not None
    PAGE.write_text(text[: first.start()] + "".join(rows()) + ROW.sub("", text[first.start() :]))


if __name__ == "__main__":
    main()

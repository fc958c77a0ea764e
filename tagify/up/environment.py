"""The settings that `tagify up` gave its services, kept for those who look after them."""

import json
from collections.abc import Mapping
from pathlib import Path

from tagify.embedded.secrets import write_private

_NAME = "environment.json"


def keep(folder: Path, environment: Mapping[str, str]) -> None:
    """Write the variables, passwords among them, for their owner's eyes only."""
    write_private(folder / _NAME, json.dumps(dict(environment), indent=1))


def load(folder: Path) -> dict[str, str]:
    """The variables of the last run on this data folder; none where there was none."""
    try:
        kept: dict[str, str] = json.loads((folder / _NAME).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return kept

"""docs/reference/log-lines.md lists every warning and error of the log, docs/how-to/host.md every unit."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagify.deploy.systemd import units

ROOT = Path(__file__).parents[2]
LOG_LINES = (ROOT / "docs/reference/log-lines.md").read_text()
HOST = (ROOT / "docs/how-to/host.md").read_text()
SEVERE = {"warning", "error", "exception"}
SHORTEST = 5
"""A constant part with fewer letters identifies no message; the module of the logger is documented instead."""


def severe_messages() -> Iterator[tuple[str, str]]:
    """Module and format string of each log call of level warning or above."""
    for package in ("tagify", "ingest", "api", "edge"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for call in filter(_is_severe, ast.walk(ast.parse(path.read_text()))):
                assert isinstance(call, ast.Call)
                assert isinstance(call.args[0], ast.Constant), f"{path}: a log message is a constant"
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts), str(call.args[0].value)


def _is_severe(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr in SEVERE and ast.unparse(node.func.value) == "logger"


@pytest.mark.parametrize(("module", "message"), list(severe_messages()))
def test_every_severe_message_has_a_row(module: str, message: str) -> None:
    constant = max(re.split(r"%\w", message), key=len)
    is_distinct = len(re.sub(r"\W", "", constant)) >= SHORTEST and "(every" not in constant
    row = f"| `{constant if is_distinct else module}` |"
    assert row in LOG_LINES, f"docs/reference/log-lines.md needs a row for {message!r} of {module}: {row}"


def test_every_row_is_of_a_message_that_exists() -> None:
    messages = [message for _, message in severe_messages()]
    modules = {module for module, _ in severe_messages()}
    rows = re.findall(r"^\| `([^`]+)` \|", LOG_LINES, re.MULTILINE)
    assert rows
    unknown = [row for row in rows if row not in modules and not any(row in message for message in messages)]
    assert unknown == []


def test_every_unit_is_explained_and_limited() -> None:
    section = HOST.partition("## The units")[2]
    missing = [name for name in units() if name.partition(".")[0].replace("@", "@N") not in section]
    assert missing == []
    for service in (text for name, text in units().items() if name.endswith(".service")):
        assert re.search(r"^MemoryMax=", service, re.MULTILINE)
        assert re.search(r"^TasksMax=", service, re.MULTILINE)

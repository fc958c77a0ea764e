"""docs/reference/log-lines.md has every warning and error of the log, docs/how-to/host.md every unit."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tagify.deploy.systemd import units

ROOT = Path(__file__).parents[2]
LOG_LINES = (ROOT / "docs/reference/log-lines.md").read_text()
HOST = (ROOT / "docs/how-to/host.md").read_text()
ALARMS = {"warning", "error", "exception"}
SHORTEST = 5
"""Letters that make a line known; what is shorter is all of it a reason in words of its own."""


def alarms() -> Iterator[tuple[str, str]]:
    """Module and format of each log call that asks for somebody's attention."""
    for package in ("tagify", "ingest", "api", "edge"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for call in filter(_is_alarm, ast.walk(ast.parse(path.read_text()))):
                assert isinstance(call, ast.Call)
                assert isinstance(call.args[0], ast.Constant), f"{path}: a log line is a constant"
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts), str(call.args[0].value)


def _is_alarm(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr in ALARMS and ast.unparse(node.func.value) == "logger"


@pytest.mark.parametrize(("module", "line"), list(alarms()))
def test_every_alarm_is_explained(module: str, line: str) -> None:
    known = max(re.split(r"%\w", line), key=len)
    wanted = known if len(re.sub(r"\W", "", known)) >= SHORTEST and "(every" not in known else f"`{module}`"
    assert wanted in LOG_LINES, f"docs/reference/log-lines.md needs a row for {line!r} of {module}"


def test_no_alarm_is_explained_that_nobody_gives() -> None:
    lines = [line for _, line in alarms()]
    rows = re.findall(r"^\| `([^`]+)` \|", LOG_LINES, re.MULTILINE)
    assert rows
    assert [row for row in rows if not any(row in line for line in lines)] == []


def test_every_unit_is_explained() -> None:
    section = HOST.partition("## The units")[2]
    missing = [name for name in units() if name.partition(".")[0].replace("@", "@N") not in section]
    assert missing == []
    for service in (text for name, text in units().items() if name.endswith(".service")):
        assert re.search(r"^MemoryMax=", service, re.MULTILINE)
        assert re.search(r"^TasksMax=", service, re.MULTILINE)

"""A driver lives in one room: `python -m tests.support.drivers` checks it."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = {
    "pymongo": ("tagify/catalog/", "tagify/servers/"),
    "bson": ("tagify/catalog/",),
    "minio": ("tagify/storage/store.py",),
    "pillow_heif": ("tagify/imaging/",),
    "PIL": ("tagify/imaging/", "tagify/sample/"),
    "watchdog": ("ingest/watch/",),
    "diskcache": ("edge/cache/",),
    "aioprometheus": ("tagify/metrics.py",),
}


def strays(root: Path = ROOT) -> Iterator[str]:
    """One line for each import of a driver outside its room."""
    for package in ("tagify", "ingest", "api", "edge"):
        for path in sorted((root / package).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            for module in _imported(ast.parse(path.read_text(), name)):
                rooms = ROOMS.get(module.split(".")[0])
                if rooms and not name.startswith(rooms):
                    yield f"{name} imports {module}, whose room is {' or '.join(rooms)}"


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


if __name__ == "__main__":
    found = list(strays())
    print("\n".join(found) or "every driver is in its room")
    sys.exit(bool(found))

"""The collections, fields and indexes that docs/explanation/data-model.md documents."""

import re
from pathlib import Path

DATA_MODEL = (Path(__file__).parents[2] / "docs/explanation/data-model.md").read_text()


def documented_collections() -> set[str]:
    return set(re.findall(r"^## `(\w+)`", DATA_MODEL, re.MULTILINE))


def documented_fields(collection: str) -> set[str]:
    """The top-level fields: the first column of the collection's table of fields."""
    table = _section(collection).partition("| field |")[2].partition("\n\n")[0]
    return {
        name
        for cell in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }


def documented_indexes(collection: str) -> dict[str, dict[str, int]]:
    """The keys of each index, by its name."""
    rows = re.findall(r"^\| `(\w+)` \| (`\w+: -?1`.*?) \|", _section(collection), re.MULTILINE)
    return {
        name: {field: int(order) for field, order in re.findall(r"`(\w+): (-?1)`", keys)}
        for name, keys in rows
    }


def _section(collection: str) -> str:
    return re.split(r"^## ", DATA_MODEL.partition(f"\n## `{collection}`")[2], flags=re.MULTILINE)[0]

"""`tagify tags verify`: whether every stored count is what counting gives, and making it so."""

from collections.abc import Sequence
from pathlib import Path

from tagify.admin.catalog import with_catalog
from tagify.catalog import Catalog, Miscount

SHOWN = 50
"""Wrong counts that are printed, at most."""


def verify(data_dir: Path, *, repair: bool) -> int:
    """Print every count that is wrong; 0 where none is, or none is any more. Raises Unavailable."""
    found = with_catalog(data_dir, lambda catalog: catalog.recount.verify())
    print("\n".join(map(_line, found[:SHOWN])) if found else "every count is exact")
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more")
    if not found or not repair:
        return 1 if found else 0
    left = with_catalog(data_dir, lambda catalog: _repaired(catalog, found))
    outcome = f"{len(left)} of them are so still" if left else "and are right now"
    print(f"{len(found)} counts were wrong, {outcome}")
    return 1 if left else 0


async def _repaired(catalog: Catalog, found: Sequence[Miscount]) -> list[Miscount]:
    """What is wrong after the repair."""
    await catalog.recount.repair(found)
    return await catalog.recount.verify()


def _line(miscount: Miscount) -> str:
    where = f"library {miscount.library_id}" if miscount.library_id else "all libraries"
    what = f"tag {miscount.tag!r}" if miscount.tag else "images"
    return f"{where}: {what}: stored {miscount.stored}, counted {miscount.counted}"

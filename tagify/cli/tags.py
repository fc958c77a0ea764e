"""`tagify tags`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tagify.catalog import Catalog, Discrepancy, Misspelling
from tagify.cli.arguments import add_data_dir, with_catalog

SHOWN = 50
"""Faults that are printed, at most."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    what = parser.add_subparsers(required=True, metavar="WHAT")
    verifying = what.add_parser("verify", help="compare every stored count and spelling with the images")
    verifying.add_argument("--repair", action="store_true", help="make the wrong ones right")
    verifying.set_defaults(run=lambda parsed: verify(parsed.data_dir, repair=parsed.repair))


def verify(data_dir: Path, *, repair: bool) -> int:
    """Print what is wrong; 0 where nothing is, or nothing is any more. Raises Unavailable."""
    found = with_catalog(data_dir, lambda catalog: catalog.count_verifier.verify())
    print("\n".join(map(_line, found[:SHOWN])) if found else "every count is exact")
    if len(found) > SHOWN:
        print(f"and {len(found) - SHOWN} more")
    if not found or not repair:
        return 1 if found else 0
    left = with_catalog(data_dir, lambda catalog: _repaired(catalog, found))
    outcome = f"{len(left)} of them are so still" if left else "and are right now"
    print(f"{len(found)} counts or spellings were wrong, {outcome}")
    return 1 if left else 0


async def _repaired(catalog: Catalog, found: Sequence[Discrepancy]) -> list[Discrepancy]:
    """What is wrong after the repair."""
    await catalog.count_verifier.repair(found)
    return await catalog.count_verifier.verify()


def _line(fault: Discrepancy) -> str:
    if isinstance(fault, Misspelling):
        return f"tag {fault.tag!r}: spelt {', '.join(map(repr, fault.others))} too"
    where = f"library {fault.library_id}" if fault.library_id else "all libraries"
    what = f"tag {fault.tag!r}" if fault.tag else "images"
    return f"{where}: {what}: stored {fault.stored}, counted {fault.counted}"

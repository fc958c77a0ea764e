"""`tagify tags`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tagify.catalog import Catalog, Discrepancy, Misspelling
from tagify.cli.arguments import add_data_dir, with_catalog

MAX_PRINTED = 50
"""Faults that are printed, at most."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    actions = parser.add_subparsers(required=True, metavar="WHAT")
    verifying = actions.add_parser("verify", help="compare every stored count and spelling with the images")
    verifying.add_argument("--repair", action="store_true", help="make the wrong ones right")
    verifying.set_defaults(run=lambda parsed: verify(parsed.data_dir, repair=parsed.repair))


def verify(data_dir: Path, *, repair: bool) -> int:
    """Print what is wrong; 0 where nothing is, or nothing is any more. Raises Unavailable."""
    discrepancies = with_catalog(data_dir, lambda catalog: catalog.count_verifier.verify())
    print(
        "\n".join(map(_format_discrepancy, discrepancies[:MAX_PRINTED]))
        if discrepancies
        else "every count is exact"
    )
    if len(discrepancies) > MAX_PRINTED:
        print(f"and {len(discrepancies) - MAX_PRINTED} more")
    if not discrepancies or not repair:
        return 1 if discrepancies else 0
    remaining = with_catalog(data_dir, lambda catalog: _repair(catalog, discrepancies))
    outcome = f"{len(remaining)} of them are so still" if remaining else "and are right now"
    print(f"{len(discrepancies)} counts or spellings were wrong, {outcome}")
    return 1 if remaining else 0


async def _repair(catalog: Catalog, discrepancies: Sequence[Discrepancy]) -> list[Discrepancy]:
    """What is wrong after the repair."""
    await catalog.count_verifier.repair(discrepancies)
    return await catalog.count_verifier.verify()


def _format_discrepancy(discrepancy: Discrepancy) -> str:
    if isinstance(discrepancy, Misspelling):
        return f"tag {discrepancy.tag!r}: spelt {', '.join(map(repr, discrepancy.others))} too"
    scope = f"library {discrepancy.library_id}" if discrepancy.library_id else "all libraries"
    subject = f"tag {discrepancy.tag!r}" if discrepancy.tag else "images"
    return f"{scope}: {subject}: stored {discrepancy.stored}, counted {discrepancy.counted}"

"""`tagify tags`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tagify.catalog import Catalog, Discrepancy, Misspelling
from tagify.cli.arguments import add_data_dir, with_catalog

MAX_PRINTED = 50
"""Maximum number of discrepancies printed."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    verifying = actions.add_parser("verify", help="compare every stored count and spelling with the images")
    verifying.add_argument("--repair", action="store_true", help="correct wrong counts and spellings")
    verifying.set_defaults(run=lambda parsed: verify(parsed.data_dir, repair=parsed.repair))


def verify(data_dir: Path, *, repair: bool) -> int:
    """Print the discrepancies; returns 1 if there are any, after the repair if `repair`, else 0.

    Raises Unavailable.
    """
    discrepancies = with_catalog(data_dir, lambda catalog: catalog.count_verifier.verify())
    if not discrepancies:
        print("every count is exact")
        return 0
    print("\n".join(map(_format_discrepancy, discrepancies[:MAX_PRINTED])))
    if len(discrepancies) > MAX_PRINTED:
        print(f"and {len(discrepancies) - MAX_PRINTED} more")
    if not repair:
        return 1
    remaining = with_catalog(data_dir, lambda catalog: _repair(catalog, discrepancies))
    outcome = f"{len(remaining)} still are" if remaining else "all repaired"
    print(f"{len(discrepancies)} counts or spellings were wrong; {outcome}")
    return 1 if remaining else 0


async def _repair(catalog: Catalog, discrepancies: Sequence[Discrepancy]) -> list[Discrepancy]:
    """Repair the discrepancies; returns those that remain."""
    await catalog.count_verifier.repair(discrepancies)
    return await catalog.count_verifier.verify()


def _format_discrepancy(discrepancy: Discrepancy) -> str:
    if isinstance(discrepancy, Misspelling):
        return f"tag {discrepancy.tag!r}: also spelt {', '.join(map(repr, discrepancy.others))}"
    scope = f"library {discrepancy.library_id}" if discrepancy.library_id else "all libraries"
    subject = f"tag {discrepancy.tag!r}" if discrepancy.tag else "images"
    return f"{scope}: {subject}: stored {discrepancy.stored}, counted {discrepancy.counted}"

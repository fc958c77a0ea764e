"""`tagify libraries`."""

import argparse
from pathlib import Path

from tagify.catalog import Catalog
from tagify.cli.arguments import add_data_dir, with_catalog
from tagify.errors import TagifyError
from tagify.model import Library, LibraryState


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    what = parser.add_subparsers(required=True, metavar="WHAT")
    listing = what.add_parser("list", help="a line for each library, with what it waits for")
    listing.set_defaults(run=lambda parsed: show(parsed.data_dir))
    approving = what.add_parser(
        "approve", help="let the images go whose files have gone, and take its folder for right as it is"
    )
    approving.add_argument("library", metavar="NAME", help="its name, path or id")
    approving.set_defaults(run=lambda parsed: approve(parsed.data_dir, parsed.library))


def show(data_dir: Path) -> int:
    """Print a line for each library; 0. Raises Unavailable, SettingsError."""
    for library in with_catalog(data_dir, lambda catalog: catalog.libraries.list_all()):
        print(_line(library))
    return 0


def approve(data_dir: Path, which: str) -> int:
    """Approve of a library as it is now; 0. Raises TagifyError where it is not one, Unavailable."""
    library = with_catalog(data_dir, lambda catalog: _approve(catalog, which))
    print(f"{library.name}: approved; ingest goes on within seconds")
    return 0


async def _approve(catalog: Catalog, which: str) -> Library:
    libraries = await catalog.libraries.list_all()
    found = [library for library in libraries if which in (library.id, library.name, library.path)]
    if len(found) != 1:
        known = ", ".join(f"{library.name} ({library.id})" for library in libraries) or "none"
        wrong = "several libraries have" if found else "no library has"
        raise TagifyError(f"{wrong} the name, path or id {which!r}; there are: {known}")
    await catalog.libraries.approve(found[0].id)
    return found[0]


def _line(library: Library) -> str:
    words = [library.id, library.name, library.path, f"{library.indexed_count} images", library.state.value]
    if library.state is LibraryState.SUSPENDED:
        words.append(library.scan_error)
    if library.pending_deletions:
        words.append(f"{library.pending_deletions} images wait to be removed: tagify libraries approve")
    return "  ".join(words)

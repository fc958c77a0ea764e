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
    actions = parser.add_subparsers(required=True, metavar="WHAT")
    listing = actions.add_parser("list", help="a line for each library, with what it waits for")
    listing.set_defaults(run=lambda parsed: list_libraries(parsed.data_dir))
    approving = actions.add_parser(
        "approve", help="let the images go whose files have gone, and take its folder for right as it is"
    )
    approving.add_argument("library", metavar="NAME", help="its name, path or id")
    approving.set_defaults(run=lambda parsed: approve(parsed.data_dir, parsed.library))


def list_libraries(data_dir: Path) -> int:
    """Print a line for each library; 0. Raises Unavailable, SettingsError."""
    for library in with_catalog(data_dir, lambda catalog: catalog.libraries.list_all()):
        print(_format_library(library))
    return 0


def approve(data_dir: Path, identifier: str) -> int:
    """Approve of a library as it is now; 0. Raises TagifyError where it is not one, Unavailable."""
    library = with_catalog(data_dir, lambda catalog: _approve(catalog, identifier))
    print(f"{library.name}: approved; ingest goes on within seconds")
    return 0


async def _approve(catalog: Catalog, identifier: str) -> Library:
    libraries = await catalog.libraries.list_all()
    matches = [library for library in libraries if identifier in (library.id, library.name, library.path)]
    if len(matches) != 1:
        known = ", ".join(f"{library.name} ({library.id})" for library in libraries) or "none"
        problem = "several libraries have" if matches else "no library has"
        raise TagifyError(f"{problem} the name, path or id {identifier!r}; there are: {known}")
    await catalog.libraries.approve(matches[0].id)
    return matches[0]


def _format_library(library: Library) -> str:
    columns = [library.id, library.name, library.path, f"{library.indexed_count} images", library.state.value]
    if library.state is LibraryState.SUSPENDED:
        columns.append(library.scan_error)
    if library.pending_deletions:
        columns.append(f"{library.pending_deletions} images wait to be removed: tagify libraries approve")
    return "  ".join(columns)

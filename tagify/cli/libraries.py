"""`tagify libraries`."""

import argparse
import asyncio
from pathlib import Path

from tagify.catalog import Catalog
from tagify.cli.arguments import add_data_dir, with_catalog
from tagify.concurrency.thread_pool import run_within
from tagify.doctor.servers import describe_left_out
from tagify.errors import TagifyError
from tagify.model import Library, LibraryState
from tagify.printable import printable_line

FOLDER_TIMEOUT_S = 10.0
"""Deadline for looking at a folder, in seconds."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser(
        "list", help="print a line per library, with deletions that wait for approval"
    )
    listing.set_defaults(run=lambda parsed: list_libraries(parsed.data_dir))
    moving = actions.add_parser(
        "move", help="set the new path of a library whose folder was moved or renamed"
    )
    moving.add_argument("library", metavar="NAME", help="name, path or id of the library")
    moving.add_argument("path", metavar="FOLDER", help="where its folder is now")
    moving.set_defaults(run=lambda parsed: move(parsed.data_dir, parsed.library, parsed.path))
    approving = actions.add_parser(
        "approve", help="approve the waiting deletions, or accept the root folder as it is now"
    )
    approving.add_argument("library", metavar="NAME", help="name, path or id of the library")
    approving.set_defaults(run=lambda parsed: approve(parsed.data_dir, parsed.library))


def list_libraries(data_dir: Path) -> int:
    """Print a line per library; returns 0. Raises Unavailable, SettingsError."""
    for library in with_catalog(data_dir, lambda catalog: catalog.libraries.list_all()):
        print(_format_library(library))
    return 0


def approve(data_dir: Path, identifier: str) -> int:
    """Approve a library's waiting deletions, or its root; returns 0.

    Raises TagifyError unless the identifier matches exactly one library, NothingToApprove; Unavailable.
    """
    library, images = with_catalog(data_dir, lambda catalog: _approve(catalog, identifier))
    name = printable_line(library.name)
    print(f"{name}: approved to remove up to {images} images; ingest resumes within seconds")
    return 0


def move(data_dir: Path, identifier: str, folder: str) -> int:
    """Move a library to the new path of its folder; returns 0.

    Raises TagifyError unless the identifier matches exactly one library and the folder exists, Conflict;
    Unavailable.
    """
    path = _resolve_folder(folder)
    library = with_catalog(data_dir, lambda catalog: _move(catalog, identifier, str(path)))
    print(f"{library.name}: moved from {library.path} to {path}; ingest compares it within seconds")
    return 0


def _resolve_folder(folder: str) -> Path:
    """The real path of the folder. Raises TagifyError, also where its file system does not answer."""

    def resolve() -> Path | None:
        path = Path(folder).resolve()
        return path if path.is_dir() else None

    try:
        path = asyncio.run(run_within(FOLDER_TIMEOUT_S, resolve))
    except TimeoutError:
        raise TagifyError(
            f"{folder} does not answer within {FOLDER_TIMEOUT_S:g} s; check its disk or server"
        ) from None
    if path is None:
        raise TagifyError(f"{folder} is not a folder; pass the folder of the library")
    return path


async def _move(catalog: Catalog, identifier: str, path: str) -> Library:
    library = await _find_library(catalog, identifier)
    await catalog.libraries.move(library.id, path)
    return library


async def _approve(catalog: Catalog, identifier: str) -> tuple[Library, int]:
    """Approve what the library has pending; the library and the number of images."""
    library = await _find_library(catalog, identifier)
    pending = library.pending_approval
    await catalog.libraries.approve(library.id, pending.id if pending else None)
    return library, pending.images if pending else 0


async def _find_library(catalog: Catalog, identifier: str) -> Library:
    libraries = await catalog.libraries.list_all()
    matches = [library for library in libraries if identifier in (library.id, library.name, library.path)]
    if len(matches) != 1:
        existing = ", ".join(f"{library.name} ({library.id})" for library in libraries) or "none"
        problem = "several libraries have" if matches else "no library has"
        raise TagifyError(f"{problem} the name, path or id {identifier!r}; existing libraries: {existing}")
    return matches[0]


def _format_library(library: Library) -> str:
    columns = [library.id, library.name, library.path, f"{library.indexed_count} images", library.state.value]
    if left_out := describe_left_out(library):
        columns.append(left_out)
    if library.state is LibraryState.SUSPENDED:
        columns.append(library.scan_error)
    elif library.pending_deletions:
        columns.append(f"{library.pending_deletions} deletions wait for approval: tagify libraries approve")
    return printable_line("  ".join(columns))

"""Checks the folder of a new library against the allowed roots. Blocking disk access: call it in a thread."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from tagify.errors import BadRequest
from tagify.model import Library, LibraryState

MARKER = ".tagify"
"""Name of the file by which ingest recognises the root of a library: it has the id of the library."""

MARKER_BYTES = 65_536
"""Bytes of a marker that are read."""


def resolve_library_path(requested: str, roots: Sequence[Path]) -> str:
    """The folder's real path, with symbolic links resolved.

    Raises BadRequest unless it is a readable folder in an allowed root.
    """
    if not requested.startswith("/") or "\0" in requested:
        raise BadRequest(f"`path` must be absolute, like /srv/photos; {requested!r} is not")
    path = Path(os.path.realpath(requested))
    # The first check, so that errors reveal nothing about folders outside the roots.
    # Roots that contain it by name come first: another one may be on a file system that hangs.
    by_name = sorted(roots, key=lambda root: not path.is_relative_to(root))
    if not any(path.is_relative_to(os.path.realpath(root)) for root in by_name):
        raise BadRequest(_outside_roots(requested, roots))
    _check_folder(path, requested)
    return str(path)


def libraries_of(folder: str, libraries: Sequence[Library]) -> list[Library]:
    """The libraries at other paths whose root is this folder."""
    others = [each for each in libraries if each.state is not LibraryState.REMOVING and each.path != folder]
    return [library for library in others if is_root_of(folder, library)]


def is_root_of(folder: str, library: Library) -> bool:
    """Whether the folder has the library's marker; for one without a marker, is the folder that was added."""
    identity = library.identity
    if identity is None:
        return False
    if identity.marked:
        return library.id in _read_marker(folder)
    try:
        status = os.stat(folder)  # noqa: PTH116
        file_system = os.statvfs(folder).f_fsid or status.st_dev
    except OSError:
        return False
    return (file_system, status.st_ino) == (identity.file_system, identity.inode)


def _read_marker(folder: str) -> list[str]:
    """The ids of libraries in the marker of a folder; only a regular file is read."""
    try:
        fd = os.open(Path(folder, MARKER), os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return []
    with open(fd, "rb") as marker:  # noqa: PTH123 - a descriptor
        is_regular = stat.S_ISREG(os.fstat(fd).st_mode)
        return marker.read(MARKER_BYTES).decode(errors="replace").split() if is_regular else []


def _check_folder(path: Path, requested: str) -> None:
    try:
        str(path).encode()
        path.stat()
    except UnicodeEncodeError:
        raise BadRequest(f"the real path of {requested} is not valid UTF-8; rename the folder") from None
    except PermissionError:
        raise BadRequest(f"{requested} cannot be read by the server's user; change its permissions") from None
    except OSError:
        raise BadRequest(f"there is no folder {requested} on the server; create it first") from None
    if not path.is_dir():
        raise BadRequest(f"{requested} is not a folder; give the folder that contains it")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadRequest(f"{requested} cannot be read by the server's user; change its permissions")


def _outside_roots(requested: str, roots: Sequence[Path]) -> str:
    allowed = ", ".join(map(str, roots)) or "none"
    return (
        f"{requested}, with symbolic links resolved, is outside the allowed roots ({allowed}); "
        "add its root to TAGIFY_LIBRARY_ROOTS"
    )

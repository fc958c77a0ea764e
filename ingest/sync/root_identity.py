"""Identity of a library's root. Nothing is deleted while the root is not the one that was approved.

The identity is a marker, a file that Tagify writes into the root of a new library; where it may not write
there, the file system and the inode of the folder. Blocking: call everything here in a thread.
"""

import os

from ingest.safe_open import append_line, open_regular
from tagify.model import Library, LibraryId, RootIdentity, RootProbe

MARKER = ".tagify"
"""Name of the marker. It has one line for each library with this root: its id."""

_APPROVE = "if it is the right folder: tagify libraries approve"


def probe(root: str, library_id: LibraryId) -> RootProbe | None:
    """Probe the root; None where there is no folder that can be listed."""
    try:
        status = os.stat(root)  # noqa: PTH116
        with os.scandir(root) as listing:
            is_empty = all(entry.name == MARKER for entry in listing)
        identity = RootIdentity(_file_system_id(root, status), status.st_ino, _has_marker(root, library_id))
    except OSError:
        return None
    return RootProbe(identity, is_empty)


def is_root_of(folder: str, library: Library) -> bool:
    """Whether the folder is the root of this library, at whatever path."""
    probed, known = probe(folder, library.id), library.identity
    if probed is None or known is None:
        return False
    return probed.identity.marked if known.marked else _is_same_folder(known, probed.identity)


def write_marker(root: str, library_id: LibraryId) -> None:
    """Write the marker, if the folder is writable and there is no link or special file of its name."""
    if _has_marker(root, library_id):
        return
    try:
        append_line(root, MARKER, library_id)
    except OSError:
        return


def suspension_reason(
    root: str,
    library_id: LibraryId,
    probed: RootProbe | None,
    approved: RootIdentity | None,
    indexed_count: int,
) -> str | None:
    """Why the library must be suspended, in one sentence; None where its root is intact.

    `approved`: its identity when it was added or approved. `indexed_count`: the images of the library.
    """
    if probed is None:
        return f"the folder {root} is missing or cannot be read; nothing is deleted until it is back"
    if approved is not None and approved.marked and not probed.identity.marked:
        return (
            f"the folder {root} has no marker {MARKER}, so it is not the folder that was added; "
            f"nothing is deleted until that is back; {_APPROVE} {library_id}"
        )
    if approved is not None and not approved.marked and not _is_same_folder(approved, probed.identity):
        return (
            f"another folder or file system is at {root} than the one that was added; "
            f"nothing is deleted until that is back; {_APPROVE} {library_id}"
        )
    if indexed_count and probed.is_empty:
        return (
            f"the folder {root} is empty though it had {indexed_count} images; nothing is deleted; "
            f"{_APPROVE} {library_id}"
        )
    return None


def _is_same_folder(known: RootIdentity, seen: RootIdentity) -> bool:
    return (known.file_system, known.inode) == (seen.file_system, seen.inode)


def _file_system_id(root: str, status: os.stat_result) -> int:
    """The id that the file system keeps over restarts, if it has one; otherwise the number of its device."""
    return os.statvfs(root).f_fsid or status.st_dev


def _has_marker(root: str, library_id: LibraryId) -> bool:
    try:
        with os.fdopen(open_regular(root, MARKER), encoding="utf-8") as marker:
            return library_id in marker.read(65_536).split()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError, PermissionError):
        return False

"""Whether a library's root is what it was. Nothing is removed on the word of one that is not.

The root is known by a marker, a file that Tagify writes when the library is new; where it may
not write there, by the file system and the inode of the folder. All runs in a thread.
"""

import os
from dataclasses import dataclass

from tagify.model import LibraryId, RootIdentity

MARKER = ".tagify"
"""Name of the marker. It holds the id of each library that was made here, one a line."""

_APPROVE = "if it is right as it is: tagify libraries approve"


@dataclass(frozen=True, slots=True)
class RootProbe:
    """A root as it is now."""

    identity: RootIdentity
    is_empty: bool


def probe(root: str, library_id: LibraryId) -> RootProbe | None:
    """What is at the root; None where no folder is that can be listed."""
    try:
        status = os.stat(root)  # noqa: PTH116
        with os.scandir(root) as listing:
            is_empty = all(entry.name == MARKER for entry in listing)
        identity = RootIdentity(_file_system_id(root, status), status.st_ino, _has_marker(root, library_id))
    except OSError:
        return None
    return RootProbe(identity, is_empty)


def write_marker(root: str, library_id: LibraryId) -> None:
    """Write the marker, where that is allowed."""
    if _has_marker(root, library_id):
        return
    try:
        with open(os.path.join(root, MARKER), "a") as marker:  # noqa: PTH123, PTH118
            marker.write(f"{library_id}\n")
    except OSError:
        return


def suspension_reason(
    root: str,
    library_id: LibraryId,
    probed: RootProbe | None,
    approved: RootIdentity | None,
    indexed_count: int,
) -> str | None:
    """Why nothing may be removed from this library now, in one sentence; None where all is well.

    `known` is the identity that it had when it was added or approved, `indexed` its images.
    """
    if probed is None:
        return f"the folder {root} is missing or cannot be read; nothing is removed until it is back"
    if approved is not None and approved.marked and not probed.identity.marked:
        return (
            f"the folder {root} is not what it was: its marker {MARKER} is not there; "
            f"nothing is removed until it is back; {_APPROVE} {library_id}"
        )
    if approved is not None and not approved.marked and not _is_same_folder(approved, probed.identity):
        return (
            f"another folder or file system is at {root} than was; "
            f"nothing is removed until it is back; {_APPROVE} {library_id}"
        )
    if indexed_count and probed.is_empty:
        return (
            f"the folder {root} is empty though it had {indexed_count} images; nothing is removed; "
            f"{_APPROVE} {library_id}"
        )
    return None


def _is_same_folder(known: RootIdentity, seen: RootIdentity) -> bool:
    return (known.file_system, known.inode) == (seen.file_system, seen.inode)


def _file_system_id(root: str, status: os.stat_result) -> int:
    """The id that a file system keeps over restarts, where it has one; the number of its device else."""
    return os.statvfs(root).f_fsid or status.st_dev


def _has_marker(root: str, library_id: LibraryId) -> bool:
    try:
        with open(os.path.join(root, MARKER)) as marker:  # noqa: PTH123, PTH118
            return library_id in marker.read(65_536).split()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError, PermissionError):
        return False

"""Determines whether a file is certainly absent. Blocking: call it in a thread.

A disk that fails, or a root that is not the one that was approved, proves nothing.
"""

from ingest.library_state import LibraryRegistry
from ingest.sync.root_identity import probe, suspension_reason
from ingest.sync.walk import stat_file
from tagify.model import CatalogEntry, ImageState, Library, LibraryState


def is_absent(root: str, path: str) -> bool:
    """Whether there is certainly no file at the path; False where the disk fails."""
    try:
        return stat_file(root, path) is None
    except OSError:
        return False


class FilePresence:
    """Checks the files of images in any library of this process."""

    def __init__(self, libraries: LibraryRegistry) -> None:
        self._libraries = libraries

    def has_left(self, entry: CatalogEntry) -> bool:
        """Whether the image's file is certainly not at its path any more (a hard link still is)."""
        if entry.state is ImageState.MISSING:
            return True
        library = self._libraries.get(entry.library_id)
        if library is None:
            return False
        try:
            file = stat_file(library.path, entry.file.path)
        except OSError:
            return False
        # The root is probed last: most files are present, and an absent one may be on a lost mount.
        return (file is None or file.inode != entry.file.inode) and _has_intact_root(library)


def _has_intact_root(library: Library) -> bool:
    root = probe(library.path, library.id)
    reason = suspension_reason(library.path, library.id, root, library.identity, library.indexed_count)
    return library.state is LibraryState.ACTIVE and reason is None

"""Determines whether a file is certainly absent. Blocking: call it in a thread.

If the disk fails, or the root is not the approved one, the file is not certainly absent.
"""

from ingest.library_state import LibraryRegistry
from ingest.sync.root_identity import probe, suspension_reason
from ingest.sync.walk import stat_file
from tagify.model import CatalogEntry, ImageState, Library, LibraryId, LibraryState


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
        return self._has_left(library, entry)

    def has_moved(self, entry: CatalogEntry, target: LibraryId) -> bool:
        """Whether the image's file, whose inode is now in library `target`, has left its path.

        Where its root is not intact, the same inode on the same file system proves it.
        """
        if self.has_left(entry):
            return True
        library, found_in = self._libraries.get(entry.library_id), self._libraries.get(target)
        if library is None or found_in is None or library.identity is None:
            return False
        if library.state is LibraryState.REMOVING or library.id == target or _is_root_intact(library):
            return False
        root = probe(found_in.path, found_in.id)
        return root is not None and root.identity.file_system == library.identity.file_system

    def is_out_of_reach(self, library_id: LibraryId) -> bool:
        """Whether a library is suspended or being removed: its files may be there or not."""
        library = self._libraries.get(library_id)
        return library is not None and not (
            library.state is not LibraryState.REMOVING and _is_root_intact(library)
        )

    def _has_left(self, library: Library, entry: CatalogEntry) -> bool:
        try:
            file = stat_file(library.path, entry.file.path)
        except OSError:
            return False
        # The root is probed last: most files are present, and an absent one may be on a lost mount.
        return (file is None or file.inode != entry.file.inode) and _has_intact_root(library)


def _has_intact_root(library: Library) -> bool:
    return library.state is LibraryState.ACTIVE and _is_root_intact(library)


def _is_root_intact(library: Library) -> bool:
    root = probe(library.path, library.id)
    return suspension_reason(library.path, library.id, root, library.identity, library.indexed_count) is None

"""Determines whether a file is certainly absent.

If the disk fails, or the root is not the approved one, the file is not certainly absent.
"""

from collections.abc import Sequence
from contextlib import suppress

from ingest.library_state import LibraryRegistry
from ingest.library_threads import LibraryThreadPools, NotAnswering
from ingest.sync.root_identity import probe, suspension_reason
from ingest.sync.walk import stat_file
from tagify.model import CatalogEntry, ImageId, ImageState, Library, LibraryId, LibraryState


def is_absent(root: str, path: str) -> bool:
    """Whether there is certainly no file at the path; False where the disk fails. Blocking."""
    try:
        return stat_file(root, path) is None
    except OSError:
        return False


class FilePresence:
    """Checks the files of images in any library of this process, each in the threads of its library.

    The files of a library that does not answer are not certainly absent.
    """

    def __init__(self, libraries: LibraryRegistry, threads: LibraryThreadPools) -> None:
        self._libraries = libraries
        self._threads = threads

    async def have_left(self, entries: Sequence[CatalogEntry]) -> set[ImageId]:
        """The images whose file is certainly not at its path any more (a hard link still is)."""
        left = {entry.id for entry in entries if entry.state is ImageState.MISSING}
        for library, present in self._by_library(entries).items():
            with suppress(NotAnswering):
                left |= await self._threads.of(library.path).check(_have_left, library, present)
        return left

    async def have_moved(self, entries: Sequence[CatalogEntry], target: LibraryId) -> set[ImageId]:
        """The images whose file, whose inode is now in library `target`, has left its path.

        Where its root is not intact, the same inode on the same file system proves it.
        """
        moved = await self.have_left(entries)
        found_in = self._libraries.get(target)
        rest = [entry for entry in entries if entry.id not in moved and entry.library_id != target]
        if found_in is None or not rest:
            return moved
        root = await self._threads.of(found_in.path).check(probe, found_in.path, found_in.id)
        for library, others in self._by_library(rest).items():
            is_same = root and library.identity and root.identity.file_system == library.identity.file_system
            is_known = library.state is not LibraryState.REMOVING
            if is_same and is_known and await self.is_out_of_reach(library.id):
                moved.update(entry.id for entry in others)
        return moved

    async def is_out_of_reach(self, library_id: LibraryId) -> bool:
        """Whether a library is suspended or being removed: its files may be there or not."""
        library = self._libraries.get(library_id)
        if library is None:
            return False
        try:
            is_intact = await self._threads.of(library.path).check(_is_root_intact, library)
        except NotAnswering:
            return True
        return library.state is LibraryState.REMOVING or not is_intact

    def _by_library(self, entries: Sequence[CatalogEntry]) -> dict[Library, list[CatalogEntry]]:
        """The entries that are present, by library."""
        present: dict[Library, list[CatalogEntry]] = {}
        for entry in entries:
            library = self._libraries.get(entry.library_id)
            if library is not None and entry.state is not ImageState.MISSING:
                present.setdefault(library, []).append(entry)
        return present


def _have_left(library: Library, entries: Sequence[CatalogEntry]) -> set[ImageId]:
    left = {entry.id for entry in entries if _has_left(library, entry)}
    # The root is probed last: most files are present, and an absent one may be on a lost mount.
    return left if left and _has_intact_root(library) else set()


def _has_left(library: Library, entry: CatalogEntry) -> bool:
    try:
        file = stat_file(library.path, entry.file.path)
    except OSError:
        return False
    return file is None or file.inode != entry.file.inode


def _has_intact_root(library: Library) -> bool:
    return library.state is LibraryState.ACTIVE and _is_root_intact(library)


def _is_root_intact(library: Library) -> bool:
    root = probe(library.path, library.id)
    return suspension_reason(library.path, library.id, root, library.identity, library.indexed_count) is None

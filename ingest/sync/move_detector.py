"""Detects moves and renames by inode, so that a moved image keeps its id and its tags and is not read."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ingest.library_threads import LibraryThreads
from ingest.paths import to_os
from ingest.safe_open import birth_ns
from ingest.sync.file_presence import FilePresence
from tagify.catalog import Catalog, MoveImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.model import CatalogEntry, FileFacts, Library

_Candidate = tuple[FileFacts, CatalogEntry]


class MoveDetector:
    """Matches new files with images of any library whose file has left its path."""

    def __init__(self, catalog: Catalog, presence: FilePresence, threads: LibraryThreads) -> None:
        self._catalog = catalog
        self._presence = presence
        self._threads = threads

    async def detect(self, library: Library, files: Iterable[FileFacts]) -> list[MoveImage]:
        """A move for each file that is certainly that of an image that has left its path.

        Inode, size and mtime do not prove that: a new file may get the inode of a deleted one. A rename
        changes the file's ctime on most file systems, as an edit does. The image keeps its old ctime, so that
        the next scan hashes the file; a folder's rename changes no ctime, and no file is read.
        """
        files = list(files)
        by_inode = await self._images_by_inode([file.inode for file in files])
        candidates = [
            (file, entry)
            for file in files
            for entry in by_inode.get(file.inode, ())
            if entry.file.same_file_as(file)
        ]
        if not candidates:
            return []
        candidates = await self._threads.run(_those_that_existed_at_import, library.path, candidates)
        moved = await self._presence.have_moved([entry for _, entry in candidates], library.id)
        moves: dict[str, MoveImage] = {}
        for file, entry in candidates:
            if entry.id in moved and file.path not in moves:
                moved.remove(entry.id)
                moves[file.path] = MoveImage(entry, library.id, replace(file, ctime_ns=entry.file.ctime_ns))
        return list(moves.values())

    async def _images_by_inode(self, inodes: list[int]) -> dict[int, list[CatalogEntry]]:
        by_inode: dict[int, list[CatalogEntry]] = {}
        if not inodes:
            return by_inode
        for entry in await retry_while_unavailable("catalog", lambda: self._catalog.images.by_inodes(inodes)):
            by_inode.setdefault(entry.file.inode, []).append(entry)
        return by_inode


def _those_that_existed_at_import(root: str, candidates: Sequence[_Candidate]) -> list[_Candidate]:
    return [(file, entry) for file, entry in candidates if _existed_at_import(entry, root, file)]


def _existed_at_import(entry: CatalogEntry, root: str, file: FileFacts) -> bool:
    """Whether the file existed when the image's facts were read: born by then, or not changed since.

    Where neither is known the content decides: the file is read.
    """
    known = entry.file.ctime_ns
    if not known:
        return False
    return file.ctime_ns == known or 0 < birth_ns(root, to_os(file.path), file.inode) <= known

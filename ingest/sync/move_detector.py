"""Detects moves and renames by inode, so that a moved image keeps its id and its tags and is not read."""

from collections.abc import Iterable
from dataclasses import replace

from ingest.paths import to_os
from ingest.safe_open import birth_ns
from ingest.sync.file_presence import FilePresence
from tagify.catalog import Catalog, MoveImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.thread_pool import ThreadPool
from tagify.model import CatalogEntry, FileFacts, Library


class MoveDetector:
    """Matches new files with images of any library whose file has left its path."""

    def __init__(self, catalog: Catalog, presence: FilePresence, threads: ThreadPool) -> None:
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
        moves: list[MoveImage] = []
        matched: set[str] = set()
        for file in files:
            for entry in by_inode.get(file.inode, ()):
                if entry.id in matched or not entry.file.same_file_as(file):
                    continue
                if await self._threads.run(self._has_moved, entry, library, file):
                    matched.add(entry.id)
                    moves.append(MoveImage(entry, library.id, replace(file, ctime_ns=entry.file.ctime_ns)))
                    break
        return moves

    def _has_moved(self, entry: CatalogEntry, library: Library, file: FileFacts) -> bool:
        is_same_file = _existed_at_import(entry, library.path, file)
        return is_same_file and self._presence.has_moved(entry, library.id)

    async def _images_by_inode(self, inodes: list[int]) -> dict[int, list[CatalogEntry]]:
        by_inode: dict[int, list[CatalogEntry]] = {}
        if not inodes:
            return by_inode
        for entry in await retry_while_unavailable("catalog", lambda: self._catalog.images.by_inodes(inodes)):
            by_inode.setdefault(entry.file.inode, []).append(entry)
        return by_inode


def _existed_at_import(entry: CatalogEntry, root: str, file: FileFacts) -> bool:
    """Whether the file existed when the image's facts were read: born by then, or not changed since.

    Where neither is known the content decides: the file is read.
    """
    known = entry.file.ctime_ns
    if not known:
        return False
    return file.ctime_ns == known or 0 < birth_ns(root, to_os(file.path), file.inode) <= known

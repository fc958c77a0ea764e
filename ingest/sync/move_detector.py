"""Detects moves and renames by inode, so that a moved image keeps its id and its tags and is not read."""

from collections.abc import Iterable

from ingest.sync.file_presence import FilePresence
from tagify.catalog import Catalog, MoveImage
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.thread_pool import ThreadPool
from tagify.model import CatalogEntry, FileFacts, LibraryId


class MoveDetector:
    """Matches new files with images of any library whose file has left its path."""

    def __init__(self, catalog: Catalog, presence: FilePresence, threads: ThreadPool) -> None:
        self._catalog = catalog
        self._presence = presence
        self._threads = threads

    async def detect(self, library_id: LibraryId, files: Iterable[FileFacts]) -> list[MoveImage]:
        """A move for each file with the inode, size and time of an image that has left its path."""
        files = list(files)
        by_inode = await self._images_by_inode([file.inode for file in files])
        moves: list[MoveImage] = []
        matched: set[str] = set()
        for file in files:
            for entry in by_inode.get(file.inode, ()):
                if entry.id in matched or not entry.file.same_file_as(file):
                    continue
                if await self._threads.run(self._presence.has_left, entry):
                    matched.add(entry.id)
                    moves.append(MoveImage(entry, library_id, file))
                    break
        return moves

    async def _images_by_inode(self, inodes: list[int]) -> dict[int, list[CatalogEntry]]:
        by_inode: dict[int, list[CatalogEntry]] = {}
        if not inodes:
            return by_inode
        for entry in await retry_while_unavailable("catalog", lambda: self._catalog.images.by_inodes(inodes)):
            by_inode.setdefault(entry.file.inode, []).append(entry)
        return by_inode

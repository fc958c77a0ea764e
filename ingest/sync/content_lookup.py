"""Finds images with the same content in the catalog, and one of them whose file has moved."""

from collections.abc import Sequence

from ingest.pipeline.content_lookup import ContentMatches, MovePending
from ingest.sync.file_presence import FilePresence
from ingest.sync.pending_moves import PendingMoves
from tagify.catalog import Catalog
from tagify.concurrency.retry import retry_while_unavailable
from tagify.model import CatalogEntry, Content, ImageId, ImageState


class CatalogContentLookup:
    """The pipeline's ContentLookup, over the catalog and the folders of all libraries."""

    def __init__(self, catalog: Catalog, presence: FilePresence, pending_moves: PendingMoves) -> None:
        self._catalog = catalog
        self._presence = presence
        self._pending_moves = pending_moves

    async def check_moves(self, content: Content) -> None:
        """Raises MovePending if a search for moves is running. Retries while the catalog is unavailable."""
        if self._pending_moves.is_searching:
            entries = await self._entries(content)
            await self._check_moves(entries, await self._presence.have_left(entries))

    async def matches(self, content: Content) -> ContentMatches:
        """The images with this content. Retries while the catalog is unavailable. Raises MovePending."""
        entries = await self._entries(content)
        left = await self._presence.have_left(entries)
        await self._check_moves(entries, left)
        present = [entry for entry in entries if entry.state is not ImageState.MISSING]
        moved_from = next((entry for entry in present if entry.id in left), None)
        libraries = {entry.library_id for entry in present}
        away = {each for each in libraries if await self._presence.is_out_of_reach(each)}
        out_of_reach = tuple(entry.id for entry in present if entry.library_id in away)
        ready = [entry for entry in entries if entry.state is ImageState.READY]
        return ContentMatches(bool(ready), bool(entries), moved_from, ready, out_of_reach)

    async def _entries(self, content: Content) -> list[CatalogEntry]:
        return await retry_while_unavailable("catalog", lambda: self._catalog.images.by_content(content))

    async def _check_moves(self, entries: Sequence[CatalogEntry], left: set[ImageId]) -> None:
        """Raises MovePending where one of the images that have left their paths may be found elsewhere."""
        departed = [entry for entry in entries if entry.id in left]
        if departed and (written := await self._pending_moves.of(departed)):
            raise MovePending(written)

"""Finds images with the same content in the catalog, and one of them whose file has moved."""

from ingest.pipeline.content_lookup import ContentMatches
from ingest.sync.file_presence import FilePresence
from tagify.catalog import Catalog
from tagify.concurrency.retry import retry_while_unavailable
from tagify.model import Content, ImageState


class CatalogContentLookup:
    """The pipeline's ContentLookup, over the catalog and the folders of all libraries."""

    def __init__(self, catalog: Catalog, presence: FilePresence) -> None:
        self._catalog = catalog
        self._presence = presence

    async def matches(self, content: Content) -> ContentMatches:
        """The images with this content. Retries while the catalog is unavailable."""
        entries = await retry_while_unavailable("catalog", lambda: self._catalog.images.by_content(content))
        present = [entry for entry in entries if entry.state is not ImageState.MISSING]
        left = await self._presence.have_left(present)
        moved_from = next((entry for entry in present if entry.id in left), None)
        libraries = {entry.library_id for entry in present}
        away = {each for each in libraries if await self._presence.is_out_of_reach(each)}
        out_of_reach = tuple(entry.id for entry in present if entry.library_id in away)
        ready = [entry for entry in entries if entry.state is ImageState.READY]
        return ContentMatches(bool(ready), bool(entries), moved_from, ready, out_of_reach)

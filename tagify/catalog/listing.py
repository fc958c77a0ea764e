"""Lists of images, as the API answers them: by filter, page by page."""

from dataclasses import dataclass
from typing import Any, Literal

from tagify.catalog.documents import TILE_FIELDS, image_of, object_id, tile_of
from tagify.catalog.failures import translated
from tagify.catalog.indexes import Database
from tagify.catalog.tallies import spelling
from tagify.model import Image, ImageId, ImageState, LibraryId, Tile


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images are meant. `tags` are in any case; all that is None or empty does not matter."""

    library_id: LibraryId | None = None
    tags: tuple[str, ...] = ()
    logic: Literal["and", "or"] = "and"
    no_tags: bool = False
    state: ImageState = ImageState.READY


@dataclass(frozen=True, slots=True)
class Page:
    """Some images, newest first, and whether there are more on either side."""

    tiles: tuple[Tile, ...]
    newer: bool
    older: bool


class Listing:
    """The lists of the catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._images = database.images

    @translated
    async def page(
        self,
        which: ImageFilter,
        *,
        after: ImageId | None = None,
        before: ImageId | None = None,
        limit: int,
    ) -> Page:
        """Up to `limit` images older than `after`, or newer than `before`. Raises Unavailable."""
        query = await self._query(which)
        forward = before is None
        if after:
            query["_id"] = {"$lt": object_id(after)}
        if before:
            query["_id"] = {"$gt": object_id(before)}
        found = (
            await self._images.find(query, TILE_FIELDS)
            .sort("_id", -1 if forward else 1)
            .limit(limit + 1)
            .to_list()
        )
        tiles = tuple(tile_of(doc) for doc in found[:limit])
        more = len(found) > limit
        if forward:
            return Page(tiles, newer=after is not None, older=more)
        return Page(tiles[::-1], newer=more, older=True)

    @translated
    async def newest(self, which: ImageFilter, *, limit: int, offset: int = 0) -> tuple[Image, ...]:
        """Up to `limit` whole images after the newest `offset`, which are walked over. Raises Unavailable."""
        cursor = self._images.find(await self._query(which)).sort("_id", -1).skip(offset).limit(limit)
        return tuple(image_of(doc) for doc in await cursor.to_list())

    async def _query(self, which: ImageFilter) -> dict[str, Any]:
        query: dict[str, Any] = {"state": which.state.value}
        if which.library_id:
            query["library_id"] = object_id(which.library_id)
        if which.no_tags:
            query["tags"] = []
        elif which.tags:
            names = (await spelling(self._database, which.tags, None)).all(which.tags)
            query["tags"] = {"$all" if which.logic == "and" else "$in": names}
        return query

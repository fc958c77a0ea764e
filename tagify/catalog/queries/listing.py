"""Image lists of the API: filtered, sorted, page by page (keyset pagination, or offset)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tagify.catalog.counters import spellings_in_use
from tagify.catalog.database import Database
from tagify.catalog.errors import maps_driver_errors
from tagify.catalog.mapping import TILE_FIELDS, image_from_doc, object_id, tile_from_doc
from tagify.catalog.queries.filters import ImageFilter, Sort
from tagify.catalog.queries.keyset import IndexRange, KeysetPosition
from tagify.catalog.queries.planner import QueryPlan, TagStats, plan_query
from tagify.model import Image, ImageState, ImageTile
from tagify.tagnames import tag_key

SCAN_FACTOR = 20
"""Maximum number of images scanned per image requested. If fewer match, the page is short, and the next
page starts after the last scanned image."""

MAX_OFFSET_SCAN = 20_000
"""Maximum number of images scanned for a list by offset with a residual filter: it contains only matches
among the newest so many images, whatever the offset. Keyset pagination has no such limit."""

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A page of images, and the positions of the previous and next page; None at the ends of the list.

    A page may be short or empty although a next page exists, if few of the scanned images match.
    """

    tiles: tuple[ImageTile, ...] = ()
    previous: KeysetPosition | None = None
    next: KeysetPosition | None = None


class ImageListing:
    """Reads image lists."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._images = database.images
        self._tags = database.tags

    @maps_driver_errors
    async def page(
        self,
        image_filter: ImageFilter,
        sort: Sort = Sort.NEWEST,
        *,
        after: KeysetPosition | None = None,
        before: KeysetPosition | None = None,
        limit: int,
    ) -> ImagePage:
        """Up to `limit` images after `after`, or before `before`. Raises Unavailable."""
        plan = await self._plan(image_filter, sort)
        if plan is None:
            return ImagePage()
        forward, start = before is None, after or before
        scan_end = await self._scan_end(plan, start, forward, limit * SCAN_FACTOR)
        # One more than requested shows whether there is a next page.
        matches = await self._read(plan, plan.order.ranges(start, scan_end, forward), limit + 1)
        docs = matches[:limit]
        first = plan.order.position_of(docs[0]) if docs else scan_end
        last = plan.order.position_of(docs[-1]) if len(matches) > limit else scan_end
        tiles = tuple(map(tile_from_doc, docs))
        if forward:
            return ImagePage(tiles, previous=first if start else None, next=last)
        return ImagePage(tiles[::-1], previous=last, next=first)

    @maps_driver_errors
    async def newest(self, image_filter: ImageFilter, *, limit: int, offset: int = 0) -> tuple[Image, ...]:
        """Up to `limit` complete images after skipping the newest `offset`. Raises Unavailable."""
        plan = await self._plan(image_filter, Sort.NEWEST)
        if plan is None:
            return ()
        scan_end = await self._scan_end(plan, None, forward=True, max_scanned=MAX_OFFSET_SCAN)
        (index_range,) = plan.order.ranges(None, scan_end)
        query = _merge(plan.indexed_filter, index_range.filter) | plan.residual_filter
        cursor = self._images.find(query, hint=plan.index).sort(index_range.sort)
        docs = await cursor.skip(offset).limit(limit).batch_size(limit).to_list()
        return tuple(map(image_from_doc, docs))

    async def _plan(self, image_filter: ImageFilter, sort: Sort) -> QueryPlan | None:
        names = (*image_filter.tags, *image_filter.exclude)
        return plan_query(image_filter, sort, await self._tag_stats(image_filter, names) if names else {})

    async def _tag_stats(self, image_filter: ImageFilter, names: Sequence[str]) -> dict[str, TagStats]:
        """Statistics of those tags that are in use in the filter's library (or in any), by key.

        A list of images that are not ready uses any tag: such an image may be the only one that has it.
        """
        is_counted = image_filter.state is ImageState.READY
        library = object_id(image_filter.library_id) if image_filter.library_id else None
        ids = [{"library_id": library, "key": tag_key(name)} for name in names]
        fields = {"key": 1, "name": 1, "count": 1, "respelling": 1}
        cursor = self._tags.find({"_id": {"$in": ids}}, fields)
        stats = {} if is_counted else {tag_key(name): TagStats((name,), None) for name in names}
        for doc in await cursor.to_list():
            spellings = spellings_in_use(doc)
            if not is_counted:
                spellings = tuple(dict.fromkeys((*stats[doc["key"]].spellings, *spellings)))
            stats[doc["key"]] = TagStats(spellings, doc["count"] if is_counted else None)
        return stats

    async def _scan_end(
        self, plan: QueryPlan, start: KeysetPosition | None, forward: bool, max_scanned: int
    ) -> KeysetPosition | None:
        """The position after `max_scanned` images; None if the scan needs no limit.

        Determined before the page is read, from the index alone, so that images added in between are
        not skipped.
        """
        if not plan.residual_filter or (plan.max_matches is not None and plan.max_matches <= max_scanned):
            return None
        for index_range in plan.order.ranges(start, None, forward):
            query = _merge(plan.indexed_filter, index_range.filter)
            cursor = self._images.find(query, plan.order.projection, hint=plan.index).sort(index_range.sort)
            docs = await cursor.skip(max_scanned - 1).limit(1).to_list()
            if docs:
                return plan.order.position_of(docs[0])
        return None

    async def _read(self, plan: QueryPlan, ranges: Sequence[IndexRange], limit: int) -> list[Doc]:
        fields = TILE_FIELDS | plan.order.projection
        docs: list[Doc] = []
        for index_range in ranges:
            query = _merge(plan.indexed_filter, index_range.filter) | plan.residual_filter
            cursor = self._images.find(query, fields, hint=plan.index).sort(index_range.sort)
            remaining = limit - len(docs)
            # In one batch: the server's default first batch has 101 documents.
            docs += await cursor.limit(remaining).batch_size(remaining).to_list()
            if len(docs) == limit:
                break
        return docs


def _merge(indexed: Doc, bounds: Doc) -> Doc:
    """A filter that requires both; conditions on the same field are combined by `$and`."""
    common = indexed.keys() & bounds.keys()
    if not common:
        return indexed | bounds
    rest = {name: value for name, value in bounds.items() if name not in common}
    return indexed | rest | {"$and": [{name: bounds[name]} for name in common]}

"""Lists of images, as the API answers them: by filter, in an order, page by page."""

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
from tagify.model import Image, ImageTile
from tagify.tagnames import tag_key

SCAN_FACTOR = 20
"""Images that are looked at for each one that a page may hold, at most: a page that has found fewer by
then is short, and the walk goes on from where it stopped."""

MAX_OFFSET_SCAN = 20_000
"""Images that are looked at for a list by offset, at most: one that sifts many holds no more than it finds
in the newest so many, whatever the offset, and only a walk by cursors goes on behind them."""

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ImagePage:
    """Some images in order, and where the list goes on to either side; None where there is nothing more.

    A page may be short, or empty, and the list go on: where few of the images looked at are meant.
    """

    tiles: tuple[ImageTile, ...] = ()
    previous: KeysetPosition | None = None
    next: KeysetPosition | None = None


class ImageListing:
    """The lists of the catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._images = database.images
        self._tags = database.tags

    @maps_driver_errors
    async def page(
        self,
        which: ImageFilter,
        sort: Sort = Sort.NEWEST,
        *,
        after: KeysetPosition | None = None,
        before: KeysetPosition | None = None,
        limit: int,
    ) -> ImagePage:
        """Up to `limit` images behind `after`, or before `before`. Raises Unavailable."""
        plan = await self._plan(which, sort)
        if plan is None:
            return ImagePage()
        forward, start = before is None, after or before
        end = await self._end(plan, start, forward, limit * SCAN_FACTOR)
        found = await self._read(plan, plan.order.ranges(start, end, forward), limit + 1)
        docs = found[:limit]
        near = plan.order.position_of(docs[0]) if docs else end
        far = plan.order.position_of(docs[-1]) if len(found) > limit else end
        tiles = tuple(map(tile_from_doc, docs))
        if forward:
            return ImagePage(tiles, previous=near if start else None, next=far)
        return ImagePage(tiles[::-1], previous=far, next=near)

    @maps_driver_errors
    async def newest(self, which: ImageFilter, *, limit: int, offset: int = 0) -> tuple[Image, ...]:
        """Up to `limit` whole images after the newest `offset`, which are walked over. Raises Unavailable."""
        plan = await self._plan(which, Sort.NEWEST)
        if plan is None:
            return ()
        end = await self._end(plan, None, forward=True, budget=MAX_OFFSET_SCAN)
        (leg,) = plan.order.ranges(None, end)
        cursor = self._images.find(
            _both(plan.indexed_filter, leg.filter) | plan.residual_filter, hint=plan.index
        ).sort(leg.sort)
        found = await cursor.skip(offset).limit(limit).batch_size(limit).to_list()
        return tuple(map(image_from_doc, found))

    async def _plan(self, which: ImageFilter, sort: Sort) -> QueryPlan | None:
        names = (*which.tags, *which.exclude)
        return plan_query(which, sort, await self._known(which, names) if names else {})

    async def _known(self, which: ImageFilter, names: Sequence[str]) -> dict[str, TagStats]:
        """Those of the tags that are in use where the filter looks, by their keys."""
        library = object_id(which.library_id) if which.library_id else None
        ids = [{"library_id": library, "key": tag_key(name)} for name in names]
        fields = {"key": 1, "name": 1, "count": 1, "respelling": 1}
        cursor = self._tags.find({"_id": {"$in": ids}}, fields)
        return {doc["key"]: TagStats(spellings_in_use(doc), doc["count"]) for doc in await cursor.to_list()}

    async def _end(
        self, plan: QueryPlan, start: KeysetPosition | None, forward: bool, budget: int
    ) -> KeysetPosition | None:
        """Where a page has looked at enough; None where it may look at all that its index leads to.

        Found before the page is read, and from the index alone: what changes in between is not passed over.
        """
        if not plan.residual_filter or (plan.max_matches is not None and plan.max_matches <= budget):
            return None
        for leg in plan.order.ranges(start, None, forward):
            cursor = self._images.find(
                _both(plan.indexed_filter, leg.filter), plan.order.projection, hint=plan.index
            )
            found = await cursor.sort(leg.sort).skip(budget - 1).limit(1).to_list()
            if found:
                return plan.order.position_of(found[0])
        return None

    async def _read(self, plan: QueryPlan, legs: Sequence[IndexRange], limit: int) -> list[Doc]:
        fields = TILE_FIELDS | plan.order.projection
        docs: list[Doc] = []
        for leg in legs:
            cursor = self._images.find(
                _both(plan.indexed_filter, leg.filter) | plan.residual_filter, fields, hint=plan.index
            )
            left = limit - len(docs)
            # All at once: 101 is what the server begins with.
            docs += await cursor.sort(leg.sort).limit(left).batch_size(left).to_list()
            if len(docs) == limit:
                break
        return docs


def _both(served: Doc, leg: Doc) -> Doc:
    """A document for both: a field in the two of them is within both intervals."""
    shared = served.keys() & leg.keys()
    if not shared:
        return served | leg
    rest = {name: value for name, value in leg.items() if name not in shared}
    return served | rest | {"$and": [{name: leg[name]} for name in shared]}

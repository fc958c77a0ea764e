"""Variants: other widths and formats of an image, made once and kept."""

import asyncio
from collections.abc import Collection, Sequence

from edge.cache import DiskCache, Entry
from edge.variants.cached_response import Answer, handed_answer, immutable_answer
from edge.variants.key import VariantKey, named
from edge.variants.memory_cache import Memory
from edge.variants.negative_cache import Refusals
from edge.variants.renderer import SameAs, VariantRenderer
from tagify.concurrency.singleflight import Flights
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Busy, Problem, Unavailable
from tagify.metrics import Counter, Metrics

WIDTH = "text/plain"
"""The media type of a value that is no picture, but the width of the variant that has these bytes."""

STORE_S = 5.0
"""Longest wait at the end of the service for what is still to be written, in seconds."""


class Variants:
    """Looks variants up where they are kept, nearest first, and has those made that are nowhere.

    Up to `room` may be made or wait for it; a further one is refused at once. What is kept is
    answered whatever waits.
    """

    def __init__(
        self,
        memory: Memory,
        cache: DiskCache,
        maker: VariantRenderer,
        layers: Counter,
        metrics: Metrics,
        *,
        widths: Collection[int],
        room: int,
    ) -> None:
        self._memory = memory
        self._cache = cache
        self._maker = maker
        self._layers = layers
        self._from_memory = layers.bound(layer="memory")
        self._from_disk = layers.bound(layer="disk")
        self._widths = frozenset(widths)
        self._refusals = Refusals()
        self._flights: Flights[Answer] = Flights()
        self._storing: set[asyncio.Task[None]] = set()
        self._room = room
        self._making = metrics.gauge("edge_variants_making", "Variants that are being made or wait for it.")

    def at_hand(self, path: str) -> Answer | None:
        """What a plain question for this path is answered with where it takes no waiting at all.

        None leaves it to `get`, which knows better.
        """
        known = self._memory.get(path)
        if known is not None:
            self._from_memory(1)
            return known
        wanted = named(path, self._widths)
        entry = self._cache.at_once(wanted.key) if wanted else None
        if wanted is None or entry is None:
            return None
        self._from_disk(1)
        return self._remembered(wanted, entry)

    async def get(self, wanted: VariantKey, *, may_hand_over: bool = False) -> Answer:
        """The variant. Raises NotFound, Unprocessable, Busy when too many wait, Unavailable.

        `may_hand_over`: its body may stay in its file, for NGINX to send it.
        """
        known = self._memory.get(wanted.path)
        if known is not None:
            self._from_memory(1)
            return known
        place = self._cache.place(wanted.key) if may_hand_over else None
        if place is not None:
            self._layers.add(layer="handed")
            return handed_answer(*place, wanted.mime, wanted.etag)
        kept = await self._kept(wanted)
        if kept is not None:
            self._from_disk(1)
            return kept
        return await self._made(wanted)

    async def forget(self, several: Sequence[VariantKey]) -> None:
        """Keep these no longer. Raises Unavailable where the disk does not let go of them, Busy."""
        keys = [key for wanted in several for key in (wanted.key, wanted.width_key)]
        if not await self._cache.forget(keys):
            raise Unavailable("the disk cache cannot be written")
        for wanted in several:
            self._memory.drop(wanted.path)

    async def close(self) -> None:
        """Write what is still to be written."""
        if self._storing:
            await asyncio.wait(self._storing, timeout=STORE_S)
        await cancel_and_wait(*self._storing)

    async def _kept(self, wanted: VariantKey) -> Answer | None:
        """What the disk cache holds of it, under its own width or under that which has the same bytes."""
        entry = await self._cache.get(wanted.key)
        if entry is None:
            width = await self._cache.get(wanted.width_key)
            entry = await self._cache.get(wanted.at(int(width.body)).key) if width else None
        return self._remembered(wanted, entry) if entry else None

    async def _made(self, wanted: VariantKey) -> Answer:
        if self._flights.has(wanted.key):
            self._layers.add(layer="joined")
        else:
            self._refusals.check((wanted.content, wanted.thumb_may_do))
            if len(self._flights) >= self._room:
                self._layers.add(layer="refused")
                raise Busy(f"{self._room} variants are being made already")
            self._layers.add(layer="made")
        return await self._flights.join(wanted.key, lambda: self._make(wanted))

    async def _make(self, wanted: VariantKey) -> Answer:
        with self._making.held():
            try:
                made = await self._maker.make(wanted)
            except Problem as problem:
                self._refusals.note((wanted.content, wanted.thumb_may_do), problem)
                raise
        if isinstance(made, SameAs):
            self._store(wanted.width_key, Entry(WIDTH, str(made.width).encode()))
            narrower = wanted.at(made.width)
            same = await self._kept(narrower)
            # It is admitted already: making the other is all that there is to making this one.
            same = same or await self._flights.join(narrower.key, lambda: self._make(narrower))
            return self._remembered(wanted, Entry(wanted.mime, same.body))
        self._store(wanted.key, made)
        return self._remembered(wanted, made)

    def _store(self, key: str, entry: Entry) -> None:
        storing = asyncio.create_task(self._cache.put(key, entry))
        self._storing.add(storing)
        storing.add_done_callback(self._storing.discard)

    def _remembered(self, wanted: VariantKey, entry: Entry) -> Answer:
        answer = immutable_answer(entry.body, wanted.mime, wanted.etag)
        self._memory.put(wanted.path, answer)
        return answer

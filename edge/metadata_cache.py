"""What the catalog says of images and contents; remembered, so that media go on while it is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from edge.originals.upstream import Origin
from tagify.catalog import Catalog
from tagify.concurrency.circuit_breaker import Circuit
from tagify.concurrency.singleflight import Flights
from tagify.concurrency.tasks import cancel_and_wait
from tagify.concurrency.ttl_cache import TTLCache
from tagify.errors import Unavailable
from tagify.metrics import Counter
from tagify.model import Content, Image, ImageId, OriginalInfo

T = TypeVar("T")

PATIENCE_S = 1.0
"""Longest wait for the catalog where there is another answer, in seconds."""

IMAGES = 20_000
"""Images that are remembered, of some kilobyte each at most."""

FRESH_S = 1.0
"""How long what was said of an image is taken for granted, in seconds."""

REVALIDATE_S = 30.0
"""How long it is answered at once and asked about meanwhile (stale-while-revalidate), in seconds."""

REFRESHES = 64
"""Questions that nobody waits for, at the same time, at most."""

STALE_S = 86_400.0
"""How long it stands in where the catalog is away (stale-if-error), in seconds."""

ORIGINALS = 20_000
LIFETIME_S = 3600.0
"""How long what was said of a content is taken for granted, in seconds: its length never changes."""


@dataclass(frozen=True, slots=True)
class _Said:
    image: Image
    at: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.at


class Lookup:
    """Asks the catalog; where it is away or was asked a moment ago, says what it said last."""

    def __init__(
        self, catalog: Catalog, origin: Origin, circuit: Circuit, *, wait_s: float, stale: Counter
    ) -> None:
        self._catalog = catalog
        self._origin = origin
        self._circuit = circuit
        self._wait_s = wait_s
        self._stale = stale
        self._images: TTLCache[ImageId, _Said] = TTLCache(IMAGES, STALE_S)
        self._originals: TTLCache[Content, OriginalInfo] = TTLCache(ORIGINALS, LIFETIME_S)
        self._flights: Flights[Image | None] = Flights()
        self._refreshing: dict[ImageId, asyncio.Task[None]] = {}

    async def image(self, image_id: ImageId, named: str = "") -> Image | None:
        """The image, as it is or as it was when the catalog last answered. Raises Unavailable.

        Where the client names a content, an image of another one is asked for anew: the client
        may know of a change that is news here.
        """
        said = self._images.get(image_id)
        if said is None or (named and named != said.image.content) or said.age_s > REVALIDATE_S:
            return await self._current(image_id, said)
        if said.age_s > FRESH_S and image_id not in self._refreshing and len(self._refreshing) < REFRESHES:
            task = asyncio.create_task(self._refresh(image_id))
            self._refreshing[image_id] = task
            task.add_done_callback(lambda _: self._refreshing.pop(image_id, None))
        if said.age_s > FRESH_S:
            self._stale.add()
        return said.image

    async def close(self) -> None:
        """End the questions that nobody waits for."""
        await cancel_and_wait(*self._refreshing.values())

    async def _refresh(self, image_id: ImageId) -> None:
        with suppress(Unavailable):
            await self._ask(image_id, self._wait_s)

    async def _current(self, image_id: ImageId, said: _Said | None) -> Image | None:
        try:
            return await self._ask(image_id, PATIENCE_S if said else self._wait_s)
        except Unavailable:
            if said is None:
                raise
            self._stale.add()
            return said.image

    async def _ask(self, image_id: ImageId, wait_s: float) -> Image | None:
        """What the catalog says now; the same question at the same time is asked once."""

        async def asked() -> Image | None:
            return await self._asked(lambda: self._catalog.images.get(image_id), wait_s)

        image = await self._flights.join(image_id, asked)
        if image is None:
            self._images.drop(image_id)
        else:
            self._images.put(image_id, _Said(image, time.monotonic()))
        return image

    async def original(self, content: Content) -> OriginalInfo:
        """What is known of a content, by the catalog, else by the store. Raises NotFound, Unavailable."""
        known = self._originals.get(content)
        if known is not None:
            return known
        try:
            said = await self._asked(lambda: self._catalog.images.original_info(content), PATIENCE_S)
        except Unavailable:
            said = None
        if said is None:
            facts = await self._origin.facts(content)
            return OriginalInfo(facts.length, facts.mime)
        self._originals.put(content, said)
        return said

    async def _asked(self, question: Callable[[], Awaitable[T]], wait_s: float) -> T:
        with self._circuit.call():
            try:
                async with asyncio.timeout(wait_s):
                    return await question()
            except TimeoutError as error:
                raise Unavailable("MongoDB does not answer in time") from error

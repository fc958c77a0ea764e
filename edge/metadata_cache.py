"""What the catalog says of images and contents; remembered, so that media go on while it is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from edge.originals.upstream import Upstream
from tagify.catalog import Catalog
from tagify.concurrency.circuit_breaker import CircuitBreaker
from tagify.concurrency.singleflight import SingleFlight
from tagify.concurrency.tasks import cancel_and_wait
from tagify.concurrency.ttl_cache import TTLCache
from tagify.errors import Unavailable
from tagify.metrics import Counter
from tagify.model import Content, Image, ImageId, OriginalInfo

T = TypeVar("T")

CATALOG_WAIT_S = 1.0
"""Longest wait for the catalog where there is another answer, in seconds."""

IMAGE_CAPACITY = 20_000
"""Images that are remembered, of some kilobyte each at most."""

FRESH_S = 1.0
"""How long what was said of an image is taken for granted, in seconds."""

STALE_WHILE_REVALIDATE_S = 30.0
"""How long it is answered at once and asked about meanwhile (stale-while-revalidate), in seconds."""

MAX_REFRESHES = 64
"""Questions that nobody waits for, at the same time, at most."""

STALE_IF_ERROR_S = 86_400.0
"""How long it stands in where the catalog is away (stale-if-error), in seconds."""

ORIGINAL_CAPACITY = 20_000
ORIGINAL_TTL_S = 3600.0
"""How long what was said of a content is taken for granted, in seconds: its length never changes."""


@dataclass(frozen=True, slots=True)
class _CachedImage:
    image: Image
    read_at: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.read_at


class MetadataCache:
    """Asks the catalog; where it is away or was asked a moment ago, says what it said last."""

    def __init__(
        self,
        catalog: Catalog,
        upstream: Upstream,
        circuit: CircuitBreaker,
        *,
        timeout_s: float,
        stale: Counter,
    ) -> None:
        self._catalog = catalog
        self._upstream = upstream
        self._circuit = circuit
        self._timeout_s = timeout_s
        self._stale = stale
        self._images: TTLCache[ImageId, _CachedImage] = TTLCache(IMAGE_CAPACITY, STALE_IF_ERROR_S)
        self._originals: TTLCache[Content, OriginalInfo] = TTLCache(ORIGINAL_CAPACITY, ORIGINAL_TTL_S)
        self._flights: SingleFlight[Image | None] = SingleFlight()
        self._refreshes: dict[ImageId, asyncio.Task[None]] = {}

    async def get_image(self, image_id: ImageId, expected_content: str = "") -> Image | None:
        """The image, as it is or as it was when the catalog last answered. Raises Unavailable.

        Where the client names a content, an image of another one is asked for anew: the client
        may know of a change that is news here.
        """
        cached = self._images.get(image_id)
        if (
            cached is None
            or (expected_content and expected_content != cached.image.content)
            or cached.age_s > STALE_WHILE_REVALIDATE_S
        ):
            return await self._read_through(image_id, cached)
        if (
            cached.age_s > FRESH_S
            and image_id not in self._refreshes
            and len(self._refreshes) < MAX_REFRESHES
        ):
            task = asyncio.create_task(self._refresh(image_id))
            self._refreshes[image_id] = task
            task.add_done_callback(lambda _: self._refreshes.pop(image_id, None))
        if cached.age_s > FRESH_S:
            self._stale.add()
        return cached.image

    async def close(self) -> None:
        """End the questions that nobody waits for."""
        await cancel_and_wait(*self._refreshes.values())

    async def _refresh(self, image_id: ImageId) -> None:
        with suppress(Unavailable):
            await self._read_image(image_id, self._timeout_s)

    async def _read_through(self, image_id: ImageId, cached: _CachedImage | None) -> Image | None:
        try:
            return await self._read_image(image_id, CATALOG_WAIT_S if cached else self._timeout_s)
        except Unavailable:
            if cached is None:
                raise
            self._stale.add()
            return cached.image

    async def _read_image(self, image_id: ImageId, wait_s: float) -> Image | None:
        """What the catalog says now; the same question at the same time is asked once."""

        async def query() -> Image | None:
            return await self._query(lambda: self._catalog.images.get(image_id), wait_s)

        image = await self._flights.run(image_id, query)
        if image is None:
            self._images.remove(image_id)
        else:
            self._images.put(image_id, _CachedImage(image, time.monotonic()))
        return image

    async def get_original(self, content: Content) -> OriginalInfo:
        """What is known of a content, by the catalog, else by the store. Raises NotFound, Unavailable."""
        cached = self._originals.get(content)
        if cached is not None:
            return cached
        try:
            original = await self._query(lambda: self._catalog.images.original_info(content), CATALOG_WAIT_S)
        except Unavailable:
            original = None
        if original is None:
            stored = await self._upstream.head(content)
            return OriginalInfo(stored.length, stored.mime)
        self._originals.put(content, original)
        return original

    async def _query(self, query: Callable[[], Awaitable[T]], timeout_s: float) -> T:
        with self._circuit.call():
            try:
                async with asyncio.timeout(timeout_s):
                    return await query()
            except TimeoutError as error:
                raise Unavailable("MongoDB does not answer in time") from error

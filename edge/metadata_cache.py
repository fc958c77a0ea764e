"""Cache of image metadata in front of the catalog: media are served while MongoDB is down.

Implements stale-while-revalidate and stale-if-error (RFC 5861) for images.
"""

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
"""Timeout of a catalog query where a fallback exists, in seconds."""

IMAGE_CAPACITY = 20_000
"""Cached images, at most; each takes about a kilobyte."""

FRESH_S = 1.0
"""How long a cached image is served without revalidation, in seconds."""

STALE_WHILE_REVALIDATE_S = 30.0
"""How long a stale image is served while it is revalidated in the background, in seconds."""

CALLER_GRACE_S = 0.05
"""A caller waits this much longer than the timeout of a query, in seconds. The query times out first, and
the circuit breaker counts that. Only a query that another caller extended outlasts the wait."""

MAX_REFRESHES = 64
"""Concurrent background revalidations, at most."""

STALE_IF_ERROR_S = 86_400.0
"""How long a stale image is served while the catalog is down, in seconds."""

ORIGINAL_CAPACITY = 20_000
ORIGINAL_TTL_S = 3600.0
"""How long the metadata of a content is cached, in seconds: a content never changes."""


@dataclass(frozen=True, slots=True)
class _CachedImage:
    image: Image
    read_at: float

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.read_at


class _SharedDeadline:
    """The deadline of a query that callers with different timeouts share: the latest of theirs."""

    def __init__(self) -> None:
        self._at = 0.0
        self._timeout: asyncio.Timeout | None = None

    def extend(self, at: float) -> None:
        """Move the deadline to `at` (the loop's time), unless it is later already."""
        self._at = max(self._at, at)
        if self._timeout is not None and not self._timeout.expired():
            self._timeout.reschedule(self._at)

    async def apply(self, query: Callable[[], Awaitable[T]]) -> T:
        """The result of the query. Raises TimeoutError at the deadline."""
        try:
            async with asyncio.timeout_at(self._at) as self._timeout:
                return await query()
        finally:
            self._timeout = None


class MetadataCache:
    """Reads images and originals through TTL caches, a single flight and a circuit breaker."""

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
        self._deadlines: dict[ImageId, _SharedDeadline] = {}
        self._refreshes: dict[ImageId, asyncio.Task[None]] = {}

    async def get_image(self, image_id: ImageId, expected_content: str = "") -> Image | None:
        """The image, possibly stale; None where it does not exist. Raises Unavailable.

        A cached image of another content than the client expects is read again: the client may have
        seen a change that this cache has not.
        """
        cached = self._images.get(image_id)
        if (
            cached is None
            or (expected_content and expected_content != cached.image.content)
            or cached.age_s > STALE_WHILE_REVALIDATE_S
        ):
            return await self._read_through(image_id, cached)
        if cached.age_s > FRESH_S:
            self._refresh_in_background(image_id)
            self._stale.add()
        return cached.image

    async def close(self) -> None:
        """Cancel background revalidations."""
        await cancel_and_wait(*self._refreshes.values())

    def _refresh_in_background(self, image_id: ImageId) -> None:
        if image_id in self._refreshes or len(self._refreshes) >= MAX_REFRESHES:
            return
        task = asyncio.create_task(self._refresh(image_id))
        self._refreshes[image_id] = task
        task.add_done_callback(lambda _: self._refreshes.pop(image_id, None))

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

    async def _read_image(self, image_id: ImageId, timeout_s: float) -> Image | None:
        """Read the image from the catalog and cache it; concurrent reads of one id share a query.

        Each waits for its own timeout: the query runs until the latest of them.
        """
        deadline = self._deadlines.setdefault(image_id, _SharedDeadline())
        deadline.extend(asyncio.get_running_loop().time() + timeout_s)

        async def query() -> Image | None:
            return await self._query(lambda: deadline.apply(lambda: self._catalog.images.get(image_id)))

        try:
            async with asyncio.timeout(timeout_s + CALLER_GRACE_S):
                image = await self._flights.run(image_id, query)
        except TimeoutError as error:
            raise Unavailable("MongoDB does not respond in time") from error
        finally:
            if not self._flights.is_running(image_id) and self._deadlines.get(image_id) is deadline:
                del self._deadlines[image_id]
        if image is None:
            self._images.remove(image_id)
        else:
            self._images.put(image_id, _CachedImage(image, time.monotonic()))
        return image

    async def get_original(self, content: Content) -> OriginalInfo:
        """Metadata of a content, from catalog or object store. Raises NotFound, Unavailable."""
        cached = self._originals.get(content)
        if cached is not None:
            return cached
        try:
            original = await self._query(lambda: self._original_info(content))
        except Unavailable:
            original = None
        if original is None:
            stored = await self._upstream.head(content)
            return OriginalInfo(stored.length, stored.mime)
        self._originals.put(content, original)
        return original

    async def _original_info(self, content: Content) -> OriginalInfo | None:
        async with asyncio.timeout(CATALOG_WAIT_S):
            return await self._catalog.images.original_info(content)

    async def _query(self, query: Callable[[], Awaitable[T]]) -> T:
        with self._circuit.call():
            try:
                return await query()
            except TimeoutError as error:
                raise Unavailable("MongoDB does not respond in time") from error

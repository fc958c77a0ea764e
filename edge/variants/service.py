"""Variants: other widths and formats of an image, from memory cache, disk cache or renderer."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence

from edge.cache import CacheEntry, DiskCache
from edge.variants.cached_response import CachedResponse, immutable_response, x_accel_response
from edge.variants.key import VariantKey, parse_path
from edge.variants.memory_cache import MemoryCache
from edge.variants.negative_cache import NegativeCache
from edge.variants.renderer import VariantAlias, VariantRenderer
from tagify.concurrency.singleflight import SingleFlight
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import Busy, Problem, Unavailable
from tagify.metrics import Counter as CounterMetric
from tagify.metrics import Metrics

ALIAS_MIME = "text/plain"
"""Media type of a disk cache entry whose body is a width: that of the variant with the same bytes."""

WRITE_BEHIND_S = 5.0
"""Longest wait at shutdown for pending writes to the disk cache, in seconds."""


MAX_SATURATED_CLIENTS = 16
"""Clients that can use their whole capacity at a time. A queued render takes about 10 kB, no pixels."""


class VariantService:
    """Looks variants up in the caches, fastest first, and renders those that are in none.

    At most `capacity` variants of one client are being rendered or queued, and MAX_SATURATED_CLIENTS times as
    many of all clients; a further one is refused at once (load shedding). The renderer serves clients in
    rotation, so that one client's misses do not use up another one's capacity. Cached variants are always
    served.
    """

    def __init__(
        self,
        memory_cache: MemoryCache,
        disk_cache: DiskCache,
        renderer: VariantRenderer,
        responses: CounterMetric,
        metrics: Metrics,
        *,
        widths: Collection[int],
        capacity: int,
    ) -> None:
        self._memory_cache = memory_cache
        self._disk_cache = disk_cache
        self._renderer = renderer
        self._responses = responses
        self._from_memory = responses.bind(layer="memory")
        self._from_disk = responses.bind(layer="disk")
        self._widths = frozenset(widths)
        self._negative_cache = NegativeCache()
        self._flights: SingleFlight[CachedResponse] = SingleFlight()
        self._pending_writes: set[asyncio.Task[None]] = set()
        self._capacity = capacity
        self._client_by_key: dict[str, str] = {}
        """The client for which a running render was started, by cache key."""
        self._render_counts: Counter[str] = Counter()
        """Number of running renders, by client."""
        self._rendering_gauge = metrics.gauge(
            "tagify_edge_variants_in_progress",
            "Variants being rendered or queued for it.",
            old="edge_variants_making",
        )

    def get_nowait(self, path: str) -> CachedResponse | None:
        """The response for a URL path if no waiting is needed. After None call `get`: it may be cached."""
        cached = self._memory_cache.get(path)
        if cached is not None:
            self._from_memory(1)
            return cached
        variant = parse_path(path, self._widths)
        entry = self._disk_cache.get_nowait(variant.cache_key) if variant else None
        if variant is None or entry is None:
            return None
        self._from_disk(1)
        return self._store_in_memory(variant, entry)

    async def get(self, variant: VariantKey, *, client: str = "", x_accel: bool = False) -> CachedResponse:
        """The response with a variant. Raises NotFound, Unprocessable, Unavailable, Busy.

        `client`: the client's address, for the fair queue. `x_accel`: NGINX may send the body from its file.
        """
        cached = self._memory_cache.get(variant.path)
        if cached is not None:
            self._from_memory(1)
            return cached
        file = self._disk_cache.x_accel_file(variant.cache_key) if x_accel else None
        if file is not None:
            self._responses.add(layer="handed")
            return x_accel_response(*file, variant.mime, variant.etag)
        stored = await self._read_disk_cache(variant)
        if stored is not None:
            self._from_disk(1)
            return stored
        return await self._render_once(variant, client)

    async def invalidate(self, variants: Sequence[VariantKey]) -> None:
        """Remove variants from the caches. Raises Busy, and Unavailable where the disk cannot be written."""
        keys = [key for variant in variants for key in (variant.cache_key, variant.alias_key)]
        if not await self._disk_cache.remove(keys):
            raise Unavailable("the disk cache cannot be written")
        for variant in variants:
            self._memory_cache.remove(variant.path)

    async def close(self) -> None:
        """Finish pending writes, for up to WRITE_BEHIND_S."""
        if self._pending_writes:
            await asyncio.wait(self._pending_writes, timeout=WRITE_BEHIND_S)
        await cancel_and_wait(*self._pending_writes)

    async def _read_disk_cache(self, variant: VariantKey) -> CachedResponse | None:
        """The variant from the disk cache: its own entry, or that of its alias."""
        entry = await self._disk_cache.get(variant.cache_key)
        if entry is None and (alias := await self._disk_cache.get(variant.alias_key)):
            entry = await self._disk_cache.get(variant.with_width(int(alias.body)).cache_key)
        return self._store_in_memory(variant, entry) if entry else None

    async def _render_once(self, variant: VariantKey, client: str) -> CachedResponse:
        """Render in a single flight, unless the negative cache or the capacity forbids it."""
        if self._flights.is_running(variant.cache_key):
            self._responses.add(layer="joined")
        else:
            self._negative_cache.raise_cached((variant.content, variant.may_use_thumb))
            self._acquire_capacity(variant.cache_key, client)
            self._responses.add(layer="made")
        try:
            return await self._flights.run(variant.cache_key, lambda: self._render(variant, client))
        finally:
            if not self._flights.is_running(variant.cache_key):
                self._release_capacity(variant.cache_key)

    def _acquire_capacity(self, key: str, client: str) -> None:
        """Count a render for its client. Raises Busy at the client's limit or the limit for all clients."""
        self._release_capacity(key)
        limit_for_all = self._capacity * MAX_SATURATED_CLIENTS
        if len(self._flights) >= limit_for_all:
            self._responses.add(layer="refused")
            raise Busy(f"{limit_for_all} variants are being rendered for all clients, the most allowed")
        if self._render_counts.get(client, 0) >= self._capacity:
            self._responses.add(layer="refused")
            raise Busy(f"{self._capacity} variants are being rendered for this client, the most allowed")
        self._client_by_key[key] = client
        self._render_counts[client] += 1

    def _release_capacity(self, key: str) -> None:
        """Stop counting the render of this key for its client, if it is counted."""
        client = self._client_by_key.pop(key, None)
        if client is not None:
            self._render_counts[client] -= 1
            if not self._render_counts[client]:
                del self._render_counts[client]

    async def _render(self, variant: VariantKey, client: str) -> CachedResponse:
        with self._rendering_gauge.raised():
            try:
                rendered = await self._renderer.render(variant, client)
            except Problem as problem:
                self._negative_cache.record((variant.content, variant.may_use_thumb), problem)
                raise
        if isinstance(rendered, VariantAlias):
            self._write_behind(variant.alias_key, CacheEntry(ALIAS_MIME, str(rendered.width).encode()))
            narrower = variant.with_width(rendered.width)
            response = await self._read_disk_cache(narrower)
            # Needs no capacity: this request has acquired it.
            response = response or await self._flights.run(
                narrower.cache_key, lambda: self._render(narrower, client)
            )
            return self._store_in_memory(variant, CacheEntry(variant.mime, response.body))
        self._write_behind(variant.cache_key, rendered)
        return self._store_in_memory(variant, rendered)

    def _write_behind(self, key: str, entry: CacheEntry) -> None:
        task = asyncio.create_task(self._disk_cache.store(key, entry))
        self._pending_writes.add(task)
        task.add_done_callback(self._pending_writes.discard)

    def _store_in_memory(self, variant: VariantKey, entry: CacheEntry) -> CachedResponse:
        response = immutable_response(entry.body, variant.mime, variant.etag)
        self._memory_cache.store(variant.path, response)
        return response

"""How a variant is made: what it is made from, and how much of that may go on at a time."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from edge.cache import CacheEntry
from edge.metadata_cache import MetadataCache
from edge.originals.upstream import Upstream
from edge.variants.key import THUMB, VariantKey
from tagify.concurrency.byte_budget import ByteBudget
from tagify.errors import NotFound, Undecodable, Unprocessable
from tagify.metrics import Metrics
from tagify.model import Content
from tagify.sandbox import DecodeJob, DecodeResult, Sandbox, SharedBuffer
from tagify.storage.store import StoredObject

MAX_ORIGINAL_BYTES = 512 << 20
"""Originals of more bytes than this are not made into variants."""

AVIF = "image/avif"


@dataclass(frozen=True, slots=True)
class VariantAlias:
    """The answer where the picture is no wider than a narrower rung of the ladder: it is that one's."""

    width: int


class VariantRenderer:
    """Makes variants in the sandbox's processes.

    Pixels are admitted by the memory that they take, originals by their length; AVIF, which takes
    five times the time of others, has `avif_workers` places and no more.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        upstream: Upstream,
        metadata: MetadataCache,
        metrics: Metrics,
        *,
        widths: Sequence[int],
        max_pixels: int,
        decode_bytes: int,
        avif_workers: int,
    ) -> None:
        self._sandbox = sandbox
        self._upstream = upstream
        self._metadata = metadata
        self._widths = sorted(widths)
        self._max_pixels = max_pixels
        self._decode_budget = ByteBudget(decode_bytes)
        self._original_budget = ByteBudget(MAX_ORIGINAL_BYTES)
        self._avif_semaphore = asyncio.Semaphore(avif_workers)
        self._seconds = metrics.histogram("edge_encode_seconds", "Time to make a variant, by format.")
        self._decoding = metrics.gauge("edge_decode_bytes", "Memory that originals are decoded in, in bytes.")
        self._decoding.set(0)
        self._sources = metrics.counter(
            "edge_variant_sources_total", "Variants made, by what from.", labelled=True
        )

    async def render(self, variant: VariantKey) -> CacheEntry | VariantAlias:
        """The variant. Raises NotFound, Unprocessable, Unavailable, Busy."""
        try:
            async with AsyncExitStack() as acquired:
                if variant.mime == AVIF:
                    await acquired.enter_async_context(self._avif_semaphore)
                return await self._render_from_thumb(variant) or await self._render_from_original(variant)
        except Undecodable as error:
            raise Unprocessable(f"no variant can be made: {error}") from error

    async def _render_from_thumb(self, variant: VariantKey) -> CacheEntry | None:
        """From the stored thumb where that is large enough; a thumb in its own format is what it is."""
        thumb = await self._fetch_thumb(variant.content) if variant.may_use_thumb else None
        if thumb is None:
            return None
        if variant.width == THUMB and variant.mime == thumb.mime:
            self._sources.add(source="thumb_as_it_is")
            return CacheEntry(thumb.mime, thumb.data)
        with SharedBuffer() as buffer:
            buffer.append(thumb.data)
            result = await self._sandbox.run(self._job("variant_unless_narrower", variant), buffer)
        return self._entry(variant, result, "thumb") if result.data else None

    async def _render_from_original(self, variant: VariantKey) -> CacheEntry | VariantAlias:
        original = await self._metadata.get_original(variant.content)
        narrowest = next((width for width in self._widths if width >= original.width > 0), variant.width)
        if narrowest < variant.width:
            return VariantAlias(narrowest)
        if original.length > MAX_ORIGINAL_BYTES:
            raise Undecodable(f"the file has more than {MAX_ORIGINAL_BYTES >> 20} MB")
        async with self._original_budget.reserve(original.length):
            with SharedBuffer() as buffer:
                await self._fetch_original(variant.content, original.length, buffer)
                cost = await self._sandbox.run(self._job("measure", variant), buffer)
                async with self._decode_budget.reserve(cost.value):
                    with self._decoding.raised(cost.value):
                        result = await self._sandbox.run(self._job("variant", variant), buffer)
        return self._entry(variant, result, "original")

    async def _fetch_original(self, content: Content, length: int, buffer: SharedBuffer) -> None:
        with await self._upstream.open_original(content, length) as transfer:
            while chunk := await transfer.read_chunk():
                buffer.append(chunk)

    async def _fetch_thumb(self, content: Content) -> StoredObject | None:
        try:
            return await self._upstream.fetch_thumb(content)
        except NotFound:
            return None

    def _job(self, operation: str, variant: VariantKey) -> DecodeJob:
        return DecodeJob(operation, self._max_pixels, variant.width, variant.mime)

    def _entry(self, variant: VariantKey, result: DecodeResult, source: str) -> CacheEntry:
        self._seconds.observe(result.seconds, format=variant.extension)
        self._sources.add(source=source)
        return CacheEntry(variant.mime, result.data)

"""Renders variants in the sandbox, from thumb or original, within limits of memory and concurrency."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from edge.cache import CacheEntry
from edge.metadata_cache import MetadataCache
from edge.originals.upstream import Upstream
from edge.variants.key import THUMB, VariantKey
from tagify.concurrency.byte_budget import ByteBudget
from tagify.concurrency.fair_semaphore import FairSemaphore
from tagify.errors import NotFound, Undecodable, Unprocessable
from tagify.metrics import Metrics
from tagify.model import Content
from tagify.sandbox import DecodeJob, DecodeResult, Sandbox, SharedBuffer
from tagify.storage.store import StoredObject

MAX_ORIGINAL_BYTES = 512 << 20
"""Maximum size of an original to render from, in bytes; also the memory budget for fetched originals."""

AVIF = "image/avif"


@dataclass(frozen=True, slots=True)
class VariantAlias:
    """Result for a picture that is not wider than a narrower width: the variant of that width is the same."""

    width: int


class VariantRenderer:
    """Renders variants in the sandbox's `workers` processes, which clients get in rotation.

    Decoding waits for a budget of memory, fetching for a budget of original bytes. At most
    `avif_workers` encode AVIF at a time: it takes five times as long as other formats.
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
        workers: int,
        avif_workers: int,
    ) -> None:
        self._sandbox = sandbox
        self._upstream = upstream
        self._metadata = metadata
        self._widths = sorted(widths)
        self._max_pixels = max_pixels
        self._decode_budget = ByteBudget(decode_bytes)
        self._original_budget = ByteBudget(MAX_ORIGINAL_BYTES)
        self._avif_semaphore = FairSemaphore(avif_workers)
        self._sandbox_permits = FairSemaphore(workers)
        # Twice as many: the next original is fetched while one is decoded.
        self._original_permits = FairSemaphore(2 * workers)
        self._seconds = metrics.histogram(
            "tagify_edge_encode_seconds", "Time to render a variant, by format.", old="edge_encode_seconds"
        )
        self._decoding = metrics.gauge(
            "tagify_edge_decode_bytes",
            "Memory reserved for decoding originals, in bytes.",
            old="edge_decode_bytes",
        )
        self._decoding.set(0)
        self._sources = metrics.counter(
            "tagify_edge_variant_sources_total",
            "Variants rendered, by source: thumb, original or thumb_as_it_is (not decoded).",
            labelled=True,
            old="edge_variant_sources_total",
        )

    async def render(self, variant: VariantKey, client: str) -> CacheEntry | VariantAlias:
        """Render a variant for the client with this address.

        Raises NotFound, Unprocessable, Unavailable, Busy.
        """
        try:
            async with AsyncExitStack() as acquired:
                if variant.mime == AVIF:
                    await acquired.enter_async_context(self._avif_semaphore.permit(client))
                if (entry := await self._render_from_thumb(variant, client)) is not None:
                    return entry
                return await self._render_from_original(variant, client)
        except Undecodable as error:
            raise Unprocessable(f"cannot render a variant: {error}") from error

    async def _render_from_thumb(self, variant: VariantKey, client: str) -> CacheEntry | None:
        """Render from the stored thumb, undecoded in its own format; None if missing or too small."""
        thumb = await self._fetch_thumb(variant.content) if variant.may_use_thumb else None
        if thumb is None:
            return None
        if variant.width == THUMB and variant.mime == thumb.mime:
            self._sources.add(source="thumb_as_it_is")
            return CacheEntry(thumb.mime, thumb.data)
        with SharedBuffer() as buffer:
            buffer.append(thumb.data)
            result = await self._run("variant_unless_narrower", variant, buffer, client)
        return self._to_entry(variant, result, "thumb") if result.data else None

    async def _render_from_original(self, variant: VariantKey, client: str) -> CacheEntry | VariantAlias:
        original = await self._metadata.get_original(variant.content)
        sufficient_width = next(
            (width for width in self._widths if width >= original.width > 0), variant.width
        )
        if sufficient_width < variant.width:
            return VariantAlias(sufficient_width)
        if original.length > MAX_ORIGINAL_BYTES:
            raise Undecodable(f"the original is larger than {MAX_ORIGINAL_BYTES >> 20} MB")
        async with (
            self._original_permits.permit(client),
            self._original_budget.reserve(original.length),
        ):
            with SharedBuffer() as buffer:
                await self._fetch_original(variant.content, original.length, buffer)
                cost = await self._run("measure", variant, buffer, client)
                async with self._decode_budget.reserve(cost.value):
                    with self._decoding.raised(cost.value):
                        result = await self._run("variant", variant, buffer, client)
        return self._to_entry(variant, result, "original")

    async def _fetch_original(self, content: Content, length: int, buffer: SharedBuffer) -> None:
        with await self._upstream.open_original(content, length) as transfer:
            while chunk := await transfer.read_chunk():
                buffer.append(chunk)

    async def _fetch_thumb(self, content: Content) -> StoredObject | None:
        try:
            return await self._upstream.fetch_thumb(content)
        except NotFound:
            return None

    async def _run(
        self, operation: str, variant: VariantKey, buffer: SharedBuffer, client: str
    ) -> DecodeResult:
        async with self._sandbox_permits.permit(client):
            return await self._sandbox.run(self._decode_job(operation, variant), buffer)

    def _decode_job(self, operation: str, variant: VariantKey) -> DecodeJob:
        return DecodeJob(operation, self._max_pixels, variant.width, variant.mime)

    def _to_entry(self, variant: VariantKey, result: DecodeResult, source: str) -> CacheEntry:
        self._seconds.observe(result.seconds, format=variant.extension)
        self._sources.add(source=source)
        return CacheEntry(variant.mime, result.data)

"""How a variant is made: what it is made from, and how much of that may go on at a time."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from edge.cache import Entry
from edge.metadata_cache import Lookup
from edge.originals.upstream import Origin
from edge.variants.key import THUMB, VariantKey
from tagify.concurrency.byte_budget import Budget
from tagify.errors import NotFound, Undecodable, Unprocessable
from tagify.metrics import Metrics
from tagify.model import Content
from tagify.sandbox import Job, Result, Sandbox, SharedBuffer
from tagify.storage.store import Blob

LARGEST_ORIGINAL = 512 << 20
"""Originals of more bytes than this are not made into variants."""

AVIF = "image/avif"


@dataclass(frozen=True, slots=True)
class SameAs:
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
        origin: Origin,
        lookup: Lookup,
        metrics: Metrics,
        *,
        widths: Sequence[int],
        max_pixels: int,
        decode_bytes: int,
        avif_workers: int,
    ) -> None:
        self._sandbox = sandbox
        self._origin = origin
        self._lookup = lookup
        self._widths = sorted(widths)
        self._max_pixels = max_pixels
        self._pixels = Budget(decode_bytes)
        self._originals = Budget(LARGEST_ORIGINAL)
        self._avif = asyncio.Semaphore(avif_workers)
        self._seconds = metrics.histogram("edge_encode_seconds", "Time to make a variant, by format.")
        self._decoding = metrics.gauge("edge_decode_bytes", "Memory that originals are decoded in, in bytes.")
        self._decoding.set(0)
        self._sources = metrics.counter(
            "edge_variant_sources_total", "Variants made, by what from.", labelled=True
        )

    async def make(self, wanted: VariantKey) -> Entry | SameAs:
        """The variant. Raises NotFound, Unprocessable, Unavailable, Busy."""
        try:
            async with AsyncExitStack() as held:
                if wanted.mime == AVIF:
                    await held.enter_async_context(self._avif)
                return await self._from_thumb(wanted) or await self._from_original(wanted)
        except Undecodable as error:
            raise Unprocessable(f"no variant can be made: {error}") from error

    async def _from_thumb(self, wanted: VariantKey) -> Entry | None:
        """From the stored thumb where that is large enough; a thumb in its own format is what it is."""
        thumb = await self._thumb(wanted.content) if wanted.thumb_may_do else None
        if thumb is None:
            return None
        if wanted.width == THUMB and wanted.mime == thumb.mime:
            self._sources.add(source="thumb_as_it_is")
            return Entry(thumb.mime, thumb.data)
        with SharedBuffer() as sheet:
            sheet.write(thumb.data)
            made = await self._sandbox.run(self._job("enlarge_never", wanted), sheet)
        return self._entry(wanted, made, "thumb") if made.data else None

    async def _from_original(self, wanted: VariantKey) -> Entry | SameAs:
        original = await self._lookup.original(wanted.content)
        rung = next((width for width in self._widths if width >= original.width > 0), wanted.width)
        if rung < wanted.width:
            return SameAs(rung)
        if original.length > LARGEST_ORIGINAL:
            raise Undecodable(f"the file has more than {LARGEST_ORIGINAL >> 20} MB")
        async with self._originals.hold(original.length):
            with SharedBuffer() as sheet:
                await self._fetch(wanted.content, original.length, sheet)
                cost = await self._sandbox.run(self._job("measure", wanted), sheet)
                async with self._pixels.hold(cost.number):
                    with self._decoding.held(cost.number):
                        made = await self._sandbox.run(self._job("variant", wanted), sheet)
        return self._entry(wanted, made, "original")

    async def _fetch(self, content: Content, length: int, sheet: SharedBuffer) -> None:
        with await self._origin.open(content, length) as transfer:
            while chunk := await transfer.read():
                sheet.write(chunk)

    async def _thumb(self, content: Content) -> Blob | None:
        try:
            return await self._origin.thumb(content)
        except NotFound:
            return None

    def _job(self, work: str, wanted: VariantKey) -> Job:
        return Job(work, self._max_pixels, wanted.width, wanted.mime)

    def _entry(self, wanted: VariantKey, made: Result, source: str) -> Entry:
        self._seconds.observe(made.seconds, format=wanted.ending)
        self._sources.add(source=source)
        return Entry(wanted.mime, made.data)

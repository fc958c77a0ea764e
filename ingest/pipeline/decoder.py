"""Decodes originals and sidecars in the sandbox: whatever parses a file's bytes runs there.

A file that exceeds the CPU time or memory of its worker, or crashes it, is tried twice: first among the
others, with limits on CPU time and memory, then alone, with all memory and up to the deadline. So hundreds of
such files delay others by seconds each, and cannot occupy every worker.
"""

import asyncio
from enum import Enum
from typing import Protocol

from tagify.concurrency.priority import PrioritySemaphore
from tagify.concurrency.retry import retry_while_unavailable
from tagify.errors import TagifyError, Undecodable
from tagify.model import DecodedOriginal
from tagify.sandbox import DecodeJob, DecodeResult, LimitExceeded, Sandbox, Source, results

QUICK_CPU_S = 2.0
"""CPU time of a file among others, in seconds. An image that decodes to 32 MB takes up to 0.5 s."""

LARGE_SHARE = 0.125
"""Images that decode to more than this share of `decode_bytes` are decoded one at a time."""

MAX_QUICK_MEMORY, MIN_QUICK_MEMORY, ALL_QUICK_MEMORY = 256 << 20, 128 << 20, 1536 << 20
"""Memory limit of a worker that decodes among others, in bytes, and of all these workers together."""


class Lane(Enum):
    """How a file is decoded: among others, alone because it is large, or alone because it failed once."""

    QUICK = "quick"
    LARGE = "large"
    SUSPECT = "suspect"


class NeedsLane(TagifyError):
    """The file must be decoded in another lane; the message is the reason."""

    def __init__(self, lane: Lane, reason: str) -> None:
        super().__init__(reason)
        self.lane = lane


class OriginalDecoder(Protocol):
    """Decodes originals and sidecars."""

    async def decode(self, source: Source, *, lane: Lane, live: bool) -> DecodedOriginal:
        """Metadata and thumb of an original. Raises Undecodable, NeedsLane."""
        ...

    async def sidecar_keywords(self, source: Source, *, live: bool) -> tuple[str, ...]:
        """The keywords of a sidecar. Raises Undecodable."""
        ...

    async def close(self) -> None:
        """Release the workers."""
        ...


class SandboxDecoder:
    """Decodes in worker processes: up to `decoders` files among others, and one alone."""

    def __init__(
        self, *, decoders: int, decode_bytes: int, memory_bytes: int, max_pixels: int, deadline_s: int
    ) -> None:
        """`decode_bytes`: bytes of decoded pixels; `memory_bytes`: memory of a file decoded alone."""
        self._sandbox = Sandbox(
            decoders + 1,
            memory_bytes=memory_bytes,
            deadline_s=deadline_s,
            result_bytes=results.MAX_RESULT_BYTES,
        )
        self._permits = PrioritySemaphore(decoders)
        self._alone = asyncio.Lock()
        self._max_pixels = max_pixels
        self._memory_bytes = memory_bytes
        self._large_bytes = int(decode_bytes * LARGE_SHARE)
        self._quick_memory = max(MIN_QUICK_MEMORY, min(MAX_QUICK_MEMORY, ALL_QUICK_MEMORY // decoders))

    async def close(self) -> None:
        """End the worker processes."""
        await self._sandbox.close()

    async def decode(self, source: Source, *, lane: Lane, live: bool) -> DecodedOriginal:
        """Metadata and thumb of an original.

        Raises NeedsLane for a large image, and for one that exceeded a limit for the first time, and
        Undecodable.
        """
        try:
            result = await self._run_thumbnail(source, lane, live=live)
        except LimitExceeded as error:
            if lane is Lane.SUSPECT:
                raise
            raise NeedsLane(Lane.SUSPECT, str(error)) from error
        if result.data:
            return _unpack(result.data)
        if lane is Lane.QUICK:
            raise NeedsLane(Lane.LARGE, f"the image decodes to {result.value >> 20} MB")
        estimate, limit = result.value >> 20, self._memory_bytes >> 20
        raise Undecodable(
            f"decoding the file takes about {estimate} MB, more than {limit} MB (TAGIFY_INGEST_DECODER_MB)"
        )

    async def sidecar_keywords(self, source: Source, *, live: bool) -> tuple[str, ...]:
        """The keywords of a sidecar. Raises Undecodable."""
        job = DecodeJob("sidecar", self._max_pixels, memory_bytes=self._quick_memory, cpu_s=QUICK_CPU_S)
        async with self._permits.permit(live=live):
            result = await self._run(job, source)
        try:
            return results.unpack_keywords(result.data)
        except results.InvalidResult as error:
            raise Undecodable("the decoder returned invalid keywords") from error

    async def _run_thumbnail(self, source: Source, lane: Lane, *, live: bool) -> DecodeResult:
        if lane is Lane.QUICK:
            job = self._thumbnail_job(self._large_bytes, self._quick_memory, QUICK_CPU_S)
            async with self._permits.permit(live=live):
                return await self._run(job, source)
        async with self._alone:
            job = self._thumbnail_job(self._memory_bytes, self._memory_bytes)
            return await self._run(job, source)

    async def _run(self, job: DecodeJob, source: Source) -> DecodeResult:
        """Run a job once, retrying while no worker can be started."""
        return await retry_while_unavailable("decoder", lambda: self._sandbox.run(job, source, attempts=1))

    def _thumbnail_job(self, max_decode_bytes: int, memory_bytes: int, cpu_s: float = 0.0) -> DecodeJob:
        return DecodeJob(
            "thumbnail",
            self._max_pixels,
            max_decode_bytes=max_decode_bytes,
            memory_bytes=memory_bytes,
            cpu_s=cpu_s,
        )


def _unpack(data: bytes) -> DecodedOriginal:
    try:
        return results.unpack_original(data)
    except results.InvalidResult as error:
        raise Undecodable("the decoder returned an invalid result") from error

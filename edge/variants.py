"""Variants: other widths and formats of an image, made once and kept."""

from dataclasses import dataclass

from edge.cache import DiskCache
from edge.flights import Flights
from tagify.blobs import Blob, Blobs
from tagify.errors import Busy, NotFound, Undecodable, Unprocessable
from tagify.imaging import make_variant, natural_width
from tagify.metrics import Metrics
from tagify.model import THUMB_RECIPE, THUMB_SIZE, VARIANT_MIMES, Bucket, Content
from tagify.threads import Threads

RECIPE = "v1"
"""How variants are made today; a better encoder is another recipe, under other keys."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variant by what names it. `ending` is one of VARIANT_MIMES."""

    content: Content
    width: int
    ending: str

    @property
    def key(self) -> str:
        """What it is kept under, and its ETag: everything that changes its bytes."""
        return f"{RECIPE}-{THUMB_RECIPE}-{self.content}-{self.width}-{self.ending}"

    @property
    def mime(self) -> str:
        """Its media type."""
        return VARIANT_MIMES[self.ending]


class Variants:
    """Looks variants up in the cache, and makes those that are not there."""

    def __init__(
        self,
        cache: DiskCache,
        blobs: Blobs,
        metrics: Metrics,
        *,
        workers: int,
        queue_size: int,
        max_pixels: int,
    ) -> None:
        self._cache = cache
        self._blobs = blobs
        self._threads = Threads("variants", workers, queue_size)
        self._flights: Flights[bytes] = Flights()
        self._max_pixels = max_pixels
        self._room = workers + queue_size
        self._making = 0
        self._joined = metrics.counter("edge_coalesced_total", "Requests that joined a variant's making.")
        self._seconds = metrics.histogram("edge_encode_seconds", "Time to make a variant, by format.")
        self._depth = metrics.gauge("edge_variants_making", "Variants that are being made or wait for it.")

    async def get(self, wanted: Wanted) -> bytes:
        """The variant's bytes. Raises NotFound, Unprocessable, Busy when too many wait, Unavailable."""
        kept = await self._cache.get(wanted.key)
        if kept is not None:
            return kept
        if self._flights.has(wanted.key):
            self._joined.add()
        elif self._making >= self._room:
            raise Busy(f"{self._making} variants are being made already")
        return await self._flights.join(wanted.key, lambda: self._make(wanted))

    async def close(self) -> None:
        """Let what is being made come to its end."""
        await self._threads.close()

    async def _make(self, wanted: Wanted) -> bytes:
        self._making += 1
        self._depth.set(self._making)
        try:
            source = await self._source(wanted)
            with self._seconds.timed(format=wanted.ending):
                made = await self._threads.run(
                    make_variant, source, width=wanted.width, mime=wanted.mime, max_pixels=self._max_pixels
                )
        except Undecodable as error:
            raise Unprocessable(f"no variant can be made: {error}") from error
        finally:
            self._making -= 1
            self._depth.set(self._making)
        await self._cache.put(wanted.key, made)
        return made

    async def _source(self, wanted: Wanted) -> bytes:
        """The thumb where it is wide enough, else the original."""
        if wanted.width <= THUMB_SIZE:
            thumb = await self._thumb(wanted.content)
            # A thumb shorter than its box on both sides is the picture in its natural size.
            if thumb is not None and await self._threads.run(natural_width, thumb.data) >= wanted.width:
                return thumb.data
        return (await self._blobs.get(Bucket.ORIGINALS, wanted.content)).data

    async def _thumb(self, content: Content) -> Blob | None:
        try:
            return await self._blobs.get(Bucket.THUMBS, content)
        except NotFound:
            return None

"""The metadata cache: callers that share a query wait for their own timeouts."""

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from edge.metadata_cache import MetadataCache
from tagify.concurrency.circuit_breaker import CircuitBreaker
from tagify.errors import Unavailable
from tagify.metrics import Metrics
from tagify.model import Content, FileFacts, Image, ImageId, ImageState, LibraryId

IMAGE = Image(
    id=ImageId("1" * 24),
    library_id=LibraryId("2" * 24),
    file=FileFacts("a.jpg", 1, 1, 1),
    state=ImageState.READY,
    added_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    content=Content("a" * 64),
)


class SlowImages:
    """Images that take `seconds` to read, and count the queries."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.queries = 0

    async def get(self, _: ImageId) -> Image:
        self.queries += 1
        await asyncio.sleep(self.seconds)
        return IMAGE


def cache_of(images: SlowImages) -> tuple[MetadataCache, Metrics]:
    metrics = Metrics()
    state, refused = metrics.gauge("state", "."), metrics.counter("refused_total", ".", labelled=True)
    circuit = CircuitBreaker("MongoDB", state=state, refused=refused)
    catalog: Any = SimpleNamespace(images=images)
    stale = metrics.counter("stale_total", ".")
    made = MetadataCache(catalog, cast("Any", None), circuit, timeout_s=5.0, stale=stale)
    return made, metrics


@pytest.mark.parametrize("long_first", [True, False])
async def test_a_caller_with_a_longer_timeout_shares_the_query_but_not_the_shorter_timeout(
    long_first: bool,
) -> None:
    images = SlowImages(0.4)
    cache, _ = cache_of(images)
    timeouts = [2.0, 0.1] if long_first else [0.1, 2.0]
    tasks = []
    for timeout_s in timeouts:
        tasks.append(asyncio.create_task(cache._read_image(IMAGE.id, timeout_s)))
        await asyncio.sleep(0.02)
    outcomes = dict(zip(timeouts, await asyncio.gather(*tasks, return_exceptions=True), strict=True))
    assert outcomes[2.0] == IMAGE
    assert isinstance(outcomes[0.1], Unavailable)
    assert images.queries == 1


async def test_a_short_caller_returns_at_its_own_timeout() -> None:
    cache, _ = cache_of(SlowImages(1.0))
    loop = asyncio.get_running_loop()
    started = loop.time()
    long = asyncio.create_task(cache._read_image(IMAGE.id, 3.0))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await cache._read_image(IMAGE.id, 0.1)
    assert loop.time() - started < 0.8
    assert await long == IMAGE


async def test_queries_that_time_out_open_the_circuit() -> None:
    images = SlowImages(10.0)
    cache, metrics = cache_of(images)
    for _ in range(6):
        with pytest.raises(Unavailable):
            await cache._read_image(IMAGE.id, 0.02)
    assert images.queries == 5
    assert b'state{server="MongoDB"} 1' in metrics.exposition()[0]
    assert not cache._deadlines

"""Memory cache: bounded in bytes, evicts the least recently used."""

from hypothesis import given
from hypothesis import strategies as st

from edge.variants.cached_response import CachedResponse, immutable_response
from edge.variants.memory_cache import MAX_SHARE_DIVISOR, OVERHEAD_BYTES, MemoryCache
from tagify.metrics import Metrics


def memory_cache(capacity_bytes: int) -> MemoryCache:
    return MemoryCache(capacity_bytes, Metrics().gauge("held", "Held."))


def response(size: int) -> CachedResponse:
    return immutable_response(bytes(size), "image/webp", '"etag"')


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 30_000)), max_size=40))
def test_size_is_bounded_and_the_last_response_is_cached(stored: list[tuple[str, int]]) -> None:
    capacity = 100_000
    cache = memory_cache(capacity)
    for path, length in stored:
        cache.store(path, response(length))
        cached = [found for found in map(cache.get, "abcdefgh") if found]
        assert sum(found.size + OVERHEAD_BYTES for found in cached) <= capacity
        if length + OVERHEAD_BYTES <= capacity // MAX_SHARE_DIVISOR:
            last = cache.get(path)
            assert last is not None
            assert last.size == length


def test_least_recently_used_is_evicted_first() -> None:
    cache = memory_cache(8 * (1000 + OVERHEAD_BYTES))
    for path in "abcdefgh":
        cache.store(path, response(1000))
    assert cache.get("a")
    cache.store("i", response(1000))
    assert cache.get("b") is None
    assert cache.get("a")


def test_cache_without_capacity_stores_nothing() -> None:
    cache = memory_cache(0)
    cache.store("a", response(0))
    assert cache.get("a") is None

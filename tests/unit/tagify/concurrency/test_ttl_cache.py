"""TTLCache: expiry, LRU eviction, removal."""

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from tagify.concurrency.ttl_cache import TTLCache

TTL_S = 10.0
SIZE = 3


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_value_expires_after_its_ttl() -> None:
    clock = Clock()
    cache = TTLCache[str, int](SIZE, TTL_S, clock)
    cache.put("a", 1)
    clock.now = TTL_S - 0.001
    assert cache.get("a") == 1
    clock.now = TTL_S
    assert cache.get("a") is None
    assert len(cache) == 0


def test_a_hit_does_not_extend_the_ttl_but_a_put_does() -> None:
    clock = Clock()
    cache = TTLCache[str, int](SIZE, TTL_S, clock)
    cache.put("a", 1)
    clock.now = 9
    cache.get("a")
    cache.put("a", 2)
    clock.now = 18
    assert cache.get("a") == 2
    clock.now = 19
    assert cache.get("a") is None


def test_the_least_recently_used_value_is_evicted() -> None:
    cache = TTLCache[str, int](2, TTL_S)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")
    cache.put("c", 3)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 3)


def test_a_removed_value_is_a_miss_and_removing_it_again_is_no_error() -> None:
    cache = TTLCache[str, int](SIZE, TTL_S)
    cache.put("a", 1)
    cache.remove("a")
    cache.remove("a")
    assert cache.get("a") is None


Step = tuple[str, int]


@given(st.lists(st.tuples(st.sampled_from(["put", "get", "remove", "wait"]), st.integers(0, 5)), max_size=60))
def test_it_behaves_like_a_model(steps: list[Step]) -> None:
    clock = Clock()
    cache = TTLCache[int, int](SIZE, TTL_S, clock)
    model: OrderedDict[int, tuple[float, int]] = OrderedDict()
    for number, (action, key) in enumerate(steps):
        if action == "put":
            cache.put(key, number)
            model[key] = clock.now + TTL_S, number
            model.move_to_end(key)
            while len(model) > SIZE:
                model.popitem(last=False)
        elif action == "remove":
            cache.remove(key)
            model.pop(key, None)
        elif action == "wait":
            clock.now += key
        else:
            expires_at, value = model.get(key, (0.0, None))
            if expires_at <= clock.now:
                model.pop(key, None)
                assert cache.get(key) is None
            else:
                model.move_to_end(key)
                assert cache.get(key) == value
        assert len(cache) == len(model) <= SIZE

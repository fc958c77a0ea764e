"""What the edge remembers of answers, refusals and formats, and how much of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.content_negotiation import FALLBACK, choose_format, expects_image
from edge.variants.cached_response import CachedResponse, immutable_response
from edge.variants.memory_cache import MAX_SHARE_DIVISOR, OVERHEAD_BYTES, MemoryCache
from edge.variants.negative_cache import NegativeCache
from tagify.errors import Busy, NotFound, Problem, Unprocessable
from tagify.metrics import Metrics
from tagify.model import VARIANT_MIMES


def answer(size: int) -> CachedResponse:
    return immutable_response(bytes(size), "image/webp", '"etag"')


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 30_000)), max_size=40))
def test_the_memory_has_a_bound_and_keeps_what_was_used_last(puts: list[tuple[str, int]]) -> None:
    size = 100_000
    memory = MemoryCache(size, Metrics().gauge("held", "Held."))
    for name, length in puts:
        memory.store(name, answer(length))
        held = [found for found in map(memory.get, "abcdefgh") if found]
        assert sum(found.size + OVERHEAD_BYTES for found in held) <= size
        if length + OVERHEAD_BYTES <= size // MAX_SHARE_DIVISOR:
            found = memory.get(name)
            assert found is not None
            assert found.size == length


def test_the_least_recently_used_goes_first() -> None:
    memory = MemoryCache(8 * (1000 + OVERHEAD_BYTES), Metrics().gauge("held", "Held."))
    for name in "abcdefgh":
        memory.store(name, answer(1000))
    assert memory.get("a")
    memory.store("i", answer(1000))
    assert memory.get("b") is None
    assert memory.get("a")


def test_a_memory_of_no_size_keeps_nothing() -> None:
    memory = MemoryCache(0, Metrics().gauge("held", "Held."))
    memory.store("a", answer(0))
    assert memory.get("a") is None


@given(st.text(max_size=60), st.lists(st.sampled_from(("avif", "webp")), unique=True).map(tuple))
def test_whatever_is_accepted_there_are_three_answers(accept: str, offered: tuple[str, ...]) -> None:
    ending = choose_format(accept, offered)
    assert ending in VARIANT_MIMES
    assert ending in (*offered, FALLBACK)


@pytest.mark.parametrize(
    ("accept", "ending"),
    [
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "avif"),
        ("image/webp,*/*;q=0.8", "webp"),
        ("IMAGE/WEBP ; Q=0.3", "webp"),
        ("image/webp;q=0", "jpg"),
        ("image/*", "jpg"),
        ("*/*", "jpg"),
        ("", "jpg"),
    ],
)
def test_a_format_is_sent_to_those_who_name_it(accept: str, ending: str) -> None:
    assert choose_format(accept, ("avif", "webp")) == ending


@pytest.mark.parametrize(
    ("accept", "destination", "takes"),
    [
        ("image/avif,image/webp,*/*;q=0.8", "image", True),
        ("*/*", "image", True),
        ("image/webp,*/*", "", True),
        ("image/webp,*/*", "empty", False),
        ("text/html,application/xhtml+xml,image/avif,*/*", "", False),
        ("application/json", "", False),
        ("*/*", "", False),
    ],
)
def test_pictures_are_for_who_can_show_nothing_else(accept: str, destination: str, takes: bool) -> None:
    assert expects_image(accept, destination) is takes


@pytest.mark.parametrize("problem", [NotFound("gone"), Unprocessable("hopeless")])
def test_a_refusal_is_remembered_for_its_question(problem: Problem) -> None:
    refusals = NegativeCache()
    refusals.raise_cached(("content", True))
    refusals.record(("content", True), problem)
    for _ in range(2):
        with pytest.raises(type(problem), match=problem.detail):
            refusals.raise_cached(("content", True))
    refusals.raise_cached(("content", False))


def test_what_may_be_over_by_the_next_request_is_not_remembered() -> None:
    refusals = NegativeCache()
    refusals.record(("content", True), Busy("later"))
    refusals.raise_cached(("content", True))

"""Negative cache: which problems of a source are remembered."""

import pytest

from edge.variants.negative_cache import NegativeCache
from tagify.errors import Busy, NotFound, Problem, Unprocessable


@pytest.mark.parametrize("problem", [NotFound("gone"), Unprocessable("undecodable")])
def test_permanent_problem_is_cached_for_its_source(problem: Problem) -> None:
    cache = NegativeCache()
    cache.raise_cached(("content", True))
    cache.record(("content", True), problem)
    for _ in range(2):
        with pytest.raises(type(problem), match=problem.detail):
            cache.raise_cached(("content", True))
    cache.raise_cached(("content", False))


def test_temporary_problem_is_not_cached() -> None:
    cache = NegativeCache()
    cache.record(("content", True), Busy("later"))
    cache.raise_cached(("content", True))

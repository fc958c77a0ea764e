"""Negative cache: remembers why a variant cannot be rendered, so that a repeated request costs no decode."""

from tagify.concurrency.ttl_cache import TTLCache
from tagify.errors import NotFound, Problem, Unprocessable

CAPACITY = 10_000

NOT_FOUND_TTL_S = 5.0
"""How long a missing content is cached, in seconds: short, because it may be stored in a moment."""

UNDECODABLE_TTL_S = 600.0
"""How long an undecodable content is cached, in seconds: only another release may decode the same bytes."""

SourceKey = tuple[str, bool]
"""A content, and whether its thumb may be used as the source."""


class NegativeCache:
    """Problems by content and source."""

    def __init__(self) -> None:
        self._not_found: TTLCache[SourceKey, str] = TTLCache(CAPACITY, NOT_FOUND_TTL_S)
        self._undecodable: TTLCache[SourceKey, str] = TTLCache(CAPACITY, UNDECODABLE_TTL_S)

    def raise_cached(self, key: SourceKey) -> None:
        """Raise the cached problem, NotFound or Unprocessable, if there is one."""
        detail = self._undecodable.get(key)
        if detail is not None:
            raise Unprocessable(detail)
        detail = self._not_found.get(key)
        if detail is not None:
            raise NotFound(detail)

    def record(self, key: SourceKey, problem: Problem) -> None:
        """Cache NotFound and Unprocessable; other problems are temporary."""
        if isinstance(problem, Unprocessable):
            self._undecodable.put(key, problem.detail)
        elif isinstance(problem, NotFound):
            self._not_found.put(key, problem.detail)

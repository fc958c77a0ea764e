"""What cannot be made, remembered for a while: a page that asks again costs no decode and no fetch."""

from tagify.concurrency.ttl_cache import TTLCache
from tagify.errors import NotFound, Problem, Unprocessable

CAPACITY = 10_000

NOT_FOUND_TTL_S = 5.0
"""A content that is not there may come in a moment, in seconds."""

UNDECODABLE_TTL_S = 600.0
"""The same bytes will not decode the next time either; another release may know more, in seconds."""

SourceKey = tuple[str, bool]
"""A content, and whether its original is needed or the thumb would do."""


class NegativeCache:
    """Refusals by what was asked for."""

    def __init__(self) -> None:
        self._not_found: TTLCache[SourceKey, str] = TTLCache(CAPACITY, NOT_FOUND_TTL_S)
        self._undecodable: TTLCache[SourceKey, str] = TTLCache(CAPACITY, UNDECODABLE_TTL_S)

    def raise_cached(self, key: SourceKey) -> None:
        """Raise again what was raised when this was last asked for: NotFound or Unprocessable."""
        detail = self._undecodable.get(key)
        if detail is not None:
            raise Unprocessable(detail)
        detail = self._not_found.get(key)
        if detail is not None:
            raise NotFound(detail)

    def record(self, key: SourceKey, problem: Problem) -> None:
        """Remember a refusal; any other problem may be over by the next request."""
        if isinstance(problem, Unprocessable):
            self._undecodable.put(key, problem.detail)
        elif isinstance(problem, NotFound):
            self._not_found.put(key, problem.detail)

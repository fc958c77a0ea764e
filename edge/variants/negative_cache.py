"""What cannot be made, remembered for a while: a page that asks again costs no decode and no fetch."""

from tagify.concurrency.ttl_cache import TTLCache
from tagify.errors import NotFound, Problem, Unprocessable

REFUSALS = 10_000

GONE_S = 5.0
"""A content that is not there may come in a moment, in seconds."""

HOPELESS_S = 600.0
"""The same bytes will not decode the next time either; another release may know more, in seconds."""

Question = tuple[str, bool]
"""A content, and whether its original is needed or the thumb would do."""


class Refusals:
    """Refusals by what was asked for."""

    def __init__(self) -> None:
        self._gone: TTLCache[Question, str] = TTLCache(REFUSALS, GONE_S)
        self._hopeless: TTLCache[Question, str] = TTLCache(REFUSALS, HOPELESS_S)

    def check(self, question: Question) -> None:
        """Raise again what was raised when this was last asked for: NotFound or Unprocessable."""
        detail = self._hopeless.get(question)
        if detail is not None:
            raise Unprocessable(detail)
        detail = self._gone.get(question)
        if detail is not None:
            raise NotFound(detail)

    def note(self, question: Question, problem: Problem) -> None:
        """Remember a refusal; any other problem may be over by the next request."""
        if isinstance(problem, Unprocessable):
            self._hopeless.put(question, problem.detail)
        elif isinstance(problem, NotFound):
            self._gone.put(question, problem.detail)

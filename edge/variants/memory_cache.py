"""The hottest answers, in memory: what is here is sent without asking anything else."""

from collections import OrderedDict

from edge.variants.cached_response import Answer
from tagify.metrics import Gauge

LARGEST_SHARE = 8
"""An answer larger than the whole divided by this would push out too many others."""

OVERHEAD = 1200
"""Bytes that an answer takes beside its body, about."""


class Memory:
    """Answers by name, up to a number of bytes; the least recently used goes first."""

    def __init__(self, size_bytes: int, held: Gauge) -> None:
        self._left = size_bytes
        self._size = size_bytes
        self._held = held
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def get(self, name: str) -> Answer | None:
        """The answer, or None."""
        answer = self._answers.get(name)
        if answer is not None:
            self._answers.move_to_end(name)
        return answer

    def put(self, name: str, answer: Answer) -> None:
        """Keep an answer, in place of those that have not been asked for longest."""
        cost = answer.size + OVERHEAD
        if cost > self._size // LARGEST_SHARE:
            return
        self.drop(name)
        self._answers[name] = answer
        self._left -= cost
        while self._left < 0:
            _, oldest = self._answers.popitem(last=False)
            self._left += oldest.size + OVERHEAD
        self._held.set(self._size - self._left)

    def drop(self, name: str) -> None:
        """Keep it no longer."""
        answer = self._answers.pop(name, None)
        if answer is not None:
            self._left += answer.size + OVERHEAD
            self._held.set(self._size - self._left)

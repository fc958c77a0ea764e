"""Cancellation at a chosen await: a call is driven to its n-th suspension and cancelled there."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CancelledAt(Generic[T]):
    """An awaitable that passes on what another waits for, and cancels it at its n-th wait.

    Whatever it awaits itself, however deep, is one of its waits; what other tasks do is not.
    """

    def __init__(self, inner: Awaitable[T], wait: int) -> None:
        self._inner = inner
        self._left = wait
        self.reached = False
        """Whether there was such a wait."""

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._inner.__await__()
        try:
            pending = next(steps)
            while True:
                self._left -= 1
                if not self._left:
                    self.reached = True
                    self._cancel(pending)
                    pending = steps.throw(asyncio.CancelledError())
                try:
                    sent = yield pending
                except BaseException as error:
                    pending = steps.throw(error)
                else:
                    pending = steps.send(sent)
        except StopIteration as end:
            result: T = end.value
            return result

    @staticmethod
    def _cancel(pending: Any) -> None:
        """As a task does with the future it waits for."""
        if isinstance(pending, asyncio.Future):
            pending.cancel()


class Cancelling:
    """Calls of one coroutine function, each of which may be cancelled at the same wait. 0 for never."""

    def __init__(self) -> None:
        self.wait = 0
        self.reached = False

    def around(self, call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def driven(*args: P.args, **kwargs: P.kwargs) -> T:
            if not self.wait:
                return await call(*args, **kwargs)
            made = CancelledAt(call(*args, **kwargs), self.wait)
            try:
                return await made
            finally:
                self.reached = made.reached

        return driven

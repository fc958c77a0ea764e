"""Cancellation at a chosen await: a call is driven to its n-th suspension and cancelled there."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CancelAtAwait(Generic[T]):
    """An awaitable that passes on what another waits for, and cancels it at its n-th wait.

    Whatever it awaits itself, however deep, is one of its waits; what other tasks do is not.
    """

    def __init__(self, inner: Awaitable[T], nth: int) -> None:
        self._inner = inner
        self._remaining = nth
        self.reached = False
        """Whether there was such a wait."""

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._inner.__await__()
        try:
            pending = next(steps)
            while True:
                self._remaining -= 1
                if not self._remaining:
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


class AwaitCanceller:
    """Calls of one coroutine function, each of which may be cancelled at the same wait. 0 for never."""

    def __init__(self) -> None:
        self.nth = 0
        self.reached = False

    def wrap(self, call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
            if not self.nth:
                return await call(*args, **kwargs)
            awaitable = CancelAtAwait(call(*args, **kwargs), self.nth)
            try:
                return await awaitable
            finally:
                self.reached = awaitable.reached

        return wrapped

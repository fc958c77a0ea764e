"""Cancels a coroutine at a chosen await: at its n-th suspension, counted through all nested awaits."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CancelAtAwait(Generic[T]):
    """An awaitable that drives another one and cancels it at its n-th suspension.

    Suspensions of nested awaits count; those of other tasks do not.
    """

    def __init__(self, inner: Awaitable[T], nth: int) -> None:
        self._inner = inner
        self._remaining = nth
        self.reached = False
        """Whether there were n suspensions."""

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
        except StopIteration as stop:
            result: T = stop.value
            return result

    @staticmethod
    def _cancel(pending: Any) -> None:
        """Cancel the awaited future, as asyncio.Task does."""
        if isinstance(pending, asyncio.Future):
            pending.cancel()


class AwaitCanceller:
    """Wraps a coroutine function: calls are cancelled at the n-th suspension; never with `nth` 0."""

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

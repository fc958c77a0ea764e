"""Errors of the driver, as the errors that the rest of the code knows."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from tagify.errors import TagifyError, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

# Codes, never messages: MaxTimeMSExpired and the ways in which a primary steps down.
_AWAY = {50, 91, 189, 262, 11600, 11602, 10107, 13435, 13436}
_HISTORY_LOST = {280, 286}


class CatalogError(TagifyError):
    """MongoDB refused what we asked: a fault of ours or of its setting."""


class ChangesLost(TagifyError):
    """The change stream cannot go on from where it was: too long ago, or another server."""


def translate(error: PyMongoError) -> BaseException:
    """What to raise in place of the driver's error.

    A cancellation that reaches the driver while it waits for a server comes out as an error of
    its own; told as Unavailable it would be waited out and tried again for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    code = error.code if isinstance(error, OperationFailure) else None
    if code in _HISTORY_LOST:
        return ChangesLost("the history of changes does not reach back that far")
    if error.timeout or isinstance(error, ConnectionFailure) or code in _AWAY:
        return Unavailable("MongoDB does not answer")
    return CatalogError(f"MongoDB refused: {type(error).__name__}{f' (code {code})' if code else ''}")


def translated(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """The same coroutine function, raising Unavailable or CatalogError and nothing of the driver's."""

    @functools.wraps(call)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await call(*args, **kwargs)
        except PyMongoError as error:
            raise translate(error) from error

    return wrapper

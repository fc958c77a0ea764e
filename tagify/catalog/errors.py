"""Errors of the driver, as the errors that the rest of the code knows."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from pymongo.errors import ConnectionFailure, OperationFailure, PyMongoError

from tagify.catalog.database import Database
from tagify.errors import TagifyError, Unavailable
from tagify.model import LibraryId

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="HasDatabase")

# Codes, never messages: MaxTimeMSExpired and the ways in which a primary steps down.
_AWAY = {50, 91, 189, 262, 11600, 11602, 10107, 13435, 13436}
_HISTORY_LOST = {280, 286}


class CatalogError(TagifyError):
    """MongoDB refused what we asked: a fault of ours or of its setting."""


class ChangeStreamHistoryLost(TagifyError):
    """The change stream cannot go on from where it was: too long ago, or another server."""


class ContentMarkedForDeletion(TagifyError):
    """The objects of this content are about to be removed: store them again in a while."""


class LeaseLost(TagifyError):
    """Another daemon writes this library now; nothing of the batch was written."""

    def __init__(self, library_id: LibraryId) -> None:
        super().__init__(f"another daemon keeps library {library_id} now")
        self.library_id = library_id


def translate_driver_error(error: PyMongoError) -> BaseException:
    """What to raise in place of the driver's error.

    A cancellation that reaches the driver while it waits for a server comes out as an error of
    its own; told as Unavailable it would be waited out and tried again for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    code = error.code if isinstance(error, OperationFailure) else None
    if code in _HISTORY_LOST:
        return ChangeStreamHistoryLost("the history of changes does not reach back that far")
    if error.timeout or isinstance(error, ConnectionFailure) or code in _AWAY:
        return Unavailable("MongoDB does not answer")
    return CatalogError(f"MongoDB refused: {type(error).__name__}{f' (code {code})' if code else ''}")


_running: set[asyncio.Task[Any]] = set()


class HasDatabase(Protocol):
    """What asks the database."""

    _database: Database


def maps_driver_errors(
    call: Callable[Concatenate[R, P], Awaitable[T]],
) -> Callable[Concatenate[R, P], Awaitable[T]]:
    """The same method, raising Unavailable or CatalogError and nothing of the driver's.

    While there is no server to ask it raises Unavailable without asking.

    A call once begun is carried to its end, which its own deadline bounds: whoever made it may
    be cancelled meanwhile, but the driver is not, for it can lose a lock or a connection by that.
    """

    @functools.wraps(call)
    async def wrapper(room: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        await room._database.availability.require_primary()
        task = asyncio.ensure_future(_awaited(call(room, *args, **kwargs)))
        _running.add(task)
        task.add_done_callback(_ended)
        try:
            return await asyncio.shield(task)
        except PyMongoError as error:
            raise translate_driver_error(error) from error

    return wrapper


async def wait_for_running_calls(timeout_s: float) -> None:
    """Return when the calls of this event loop have come to their end, or after the time."""
    loop = asyncio.get_running_loop()
    if calls := {task for task in _running if task.get_loop() is loop}:
        await asyncio.wait(calls, timeout=timeout_s)


async def _awaited(call: Awaitable[T]) -> T:
    return await call


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # retrieved: whoever asked may have left

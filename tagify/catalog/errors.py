"""Maps errors of the driver to the errors of this project."""

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from bson.errors import BSONError
from pymongo.errors import BulkWriteError, ConnectionFailure, OperationFailure, PyMongoError

from tagify.catalog.database import Database
from tagify.errors import TagifyError, Unavailable
from tagify.model import LibraryId

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R", bound="HasDatabase")

# Codes, not messages: MaxTimeMSExpired, OutOfDiskSpace, and the errors of a primary that steps down.
_UNAVAILABLE_CODES = {50, 91, 189, 262, 11600, 11602, 10107, 13435, 13436, 14031}
_HISTORY_LOST_CODES = {280, 286}

_ENCODING_ERRORS = (BSONError, OverflowError, UnicodeError)
"""Raised by the driver for a value that BSON cannot hold, or for a document that is too large."""


class CatalogError(TagifyError):
    """MongoDB or the driver refused a command for good: the same command would be refused again.

    The message has the type of the error and its code, never the command: that may be megabytes.
    """


class ChangeStreamHistoryLost(TagifyError):
    """The change stream cannot resume: the token is too old, or from another server."""


class ContentMarkedForDeletion(TagifyError):
    """The objects of this content are about to be deleted; upload them again later."""


class LeaseLost(TagifyError):
    """Another daemon holds the library's lease; nothing of the batch was written."""

    def __init__(self, library_id: LibraryId) -> None:
        super().__init__(f"another daemon holds the lease of library {library_id}")
        self.library_id = library_id


def translate_driver_error(error: PyMongoError) -> BaseException:
    """The exception to raise instead of the driver's.

    If the task is cancelled while the driver waits for a server, the driver raises an error of its
    own. Translated to Unavailable it would be retried forever, so it becomes CancelledError.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return asyncio.CancelledError()
    code = _code(error)
    if code in _HISTORY_LOST_CODES:
        return ChangeStreamHistoryLost("the change stream cannot resume: its history is lost")
    if error.timeout or isinstance(error, ConnectionFailure) or _is_transient(error, code):
        return Unavailable("MongoDB does not answer")
    details = getattr(error, "details", None) or {}
    name = details.get("codeName") or type(error).__name__
    return CatalogError(f"MongoDB refused: {name}{f' (code {code})' if code else ''}")


def _code(error: PyMongoError) -> int | None:
    """The server's error code: for a bulk write that of its first refused document."""
    if isinstance(error, BulkWriteError):
        refused = (error.details or {}).get("writeErrors", ())
        return next((item["code"] for item in refused), error.code)
    return error.code if isinstance(error, OperationFailure) else None


def _is_transient(error: PyMongoError, code: int | None) -> bool:
    """Whether the same command may succeed later: write conflicts that outlasted the retries, a full disk."""
    return code in _UNAVAILABLE_CODES or error.has_error_label("TransientTransactionError")


_running: set[asyncio.Task[Any]] = set()


class HasDatabase(Protocol):
    """An object whose methods query the database."""

    _database: Database


def maps_driver_errors(
    call: Callable[Concatenate[R, P], Awaitable[T]],
) -> Callable[Concatenate[R, P], Awaitable[T]]:
    """Decorates a method so that it raises Unavailable or CatalogError instead of driver errors.

    If there is no primary it raises Unavailable without a request.

    A started call runs to completion, bounded by its deadline, even if its caller is cancelled: on
    cancellation the driver could leak a lock or a connection.
    """

    @functools.wraps(call)
    async def wrapper(owner: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        await owner._database.availability.require_primary()
        task = asyncio.ensure_future(_await(call(owner, *args, **kwargs)))
        _running.add(task)
        task.add_done_callback(_on_done)
        try:
            return await asyncio.shield(task)
        except PyMongoError as error:
            raise translate_driver_error(error) from error
        except _ENCODING_ERRORS as error:
            # The text of these errors can contain the whole document, so they are not chained.
            raise CatalogError(f"MongoDB cannot store the document: {type(error).__name__}") from None

    return wrapper


async def wait_for_running_calls(timeout_s: float) -> None:
    """Return when all calls of this event loop have ended, or after the timeout."""
    loop = asyncio.get_running_loop()
    if calls := {task for task in _running if task.get_loop() is loop}:
        await asyncio.wait(calls, timeout=timeout_s)


async def _await(call: Awaitable[T]) -> T:
    return await call


def _on_done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # marks it as retrieved: the caller may be cancelled

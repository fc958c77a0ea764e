"""Register the library of `tagify up` through the HTTP API, and show the progress of its first scan."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from tagify.concurrency.retry import Backoff, retry
from tagify.errors import TagifyError
from tagify.terminal import ProgressRate, Terminal

POLL_S = 0.25
RETRY = Backoff(first_s=0.25, longest_s=1.0)
"""Delays while the API is unavailable. The supervisor bounds how often it is restarted."""

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500

T = TypeVar("T")


class RegistrationError(TagifyError):
    """The API refused the library; the message is the problem's detail."""


class _ApiUnavailable(TagifyError):
    """The API, or a server behind it, does not answer now."""


async def register_library(api_url: str, path: Path) -> str:
    """Return the id of the library at this path; adds it if needed. Raises RegistrationError.

    Retried while the API is unavailable: the supervisor restarts it.
    """
    async with _session(api_url) as session:
        return await _retry(lambda: _find_or_add(session, path))


async def _find_or_add(session: aiohttp.ClientSession, path: Path) -> str:
    for library in await _libraries(session):
        if library["path"] == str(path):
            return str(library["_id"])
    library = await _request(session, "POST", json={"path": str(path)})
    return str(library["_id"])


async def wait_for_first_scan(api_url: str, library_id: str, terminal: Terminal) -> int:
    """Show the scan's progress until it is done; returns the number of images."""
    rate = ProgressRate()
    async with _session(api_url) as session:
        while True:
            for library in await _retry(lambda: _libraries(session)):
                if library["_id"] != library_id:
                    continue
                if library["last_scanned"] and not library["scanning"]:
                    return int(library["indexed_count"])
                done, total = library["scan_done"], library["scan_total"]
                terminal.progress_bar("indexing", done, total, rate.describe(done, total))
            await asyncio.sleep(POLL_S)


def _session(api_url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(api_url, timeout=aiohttp.ClientTimeout(total=30))


async def _libraries(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    libraries: list[dict[str, Any]] = await _request(session, "GET")
    return libraries


async def _request(session: aiohttp.ClientSession, method: str, **arguments: Any) -> Any:
    """Return the JSON of the response. Raises RegistrationError, _ApiUnavailable."""
    try:
        async with session.request(method, "/api/libraries", **arguments) as response:
            if response.status >= _SERVER_ERROR or response.status == _TOO_MANY_REQUESTS:
                raise _ApiUnavailable(str(response.status))
            answer = await response.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        raise _ApiUnavailable(str(error)) from error
    if not response.ok:
        raise RegistrationError(answer.get("detail") or answer.get("title") or str(response.status))
    return answer


async def _retry(call: Callable[[], Awaitable[T]]) -> T:
    return await retry(call, on=_ApiUnavailable, backoff=RETRY)

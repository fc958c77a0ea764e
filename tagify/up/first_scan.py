"""The library of `tagify up`: registered through the API, like anybody's, and its first scan watched."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from tagify.errors import TagifyError
from tagify.terminal import Terminal

POLL_S = 0.25
_CREATED = 201


class LibraryError(TagifyError):
    """The API did not take the library; the message is its reason."""


async def register(api_url: str, path: Path) -> str:
    """The id of the library at this path, added where it is not there. Raises LibraryError."""
    async with _session(api_url) as session:
        for library in await _libraries(session):
            if library["path"] == str(path):
                return str(library["_id"])
        async with session.post("/api/libraries", json={"path": str(path)}) as response:
            answer = await response.json(content_type=None)
            if response.status != _CREATED:
                raise LibraryError(answer.get("detail") or answer.get("title") or str(response.status))
            return str(answer["_id"])


async def watch_first_scan(api_url: str, library_id: str, terminal: Terminal) -> int:
    """Show how far the scan is until it is done; the number of images then."""
    async with _session(api_url) as session:
        while True:
            for library in await _libraries(session):
                if library["_id"] != library_id:
                    continue
                if library["last_scanned"] and not library["scanning"]:
                    return int(library["indexed_count"])
                terminal.bar("indexing", library["scan_done"], library["scan_total"])
            await asyncio.sleep(POLL_S)


def _session(api_url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(api_url, timeout=aiohttp.ClientTimeout(total=30))


async def _libraries(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    async with session.get("/api/libraries") as response:
        answer = await response.json(content_type=None)
        if not isinstance(answer, list):
            raise LibraryError(str(answer.get("detail", answer)))
        return answer

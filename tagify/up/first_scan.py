"""Register the library of `tagify up` through the HTTP API, and show the progress of its first scan."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp

from tagify.errors import TagifyError
from tagify.terminal import Terminal

POLL_S = 0.25
_CREATED = 201


class RegistrationError(TagifyError):
    """The API refused the library; the message is the problem's detail."""


async def register_library(api_url: str, path: Path) -> str:
    """Return the id of the library at this path; adds it if needed. Raises RegistrationError."""
    async with _session(api_url) as session:
        for library in await _libraries(session):
            if library["path"] == str(path):
                return str(library["_id"])
        async with session.post("/api/libraries", json={"path": str(path)}) as response:
            answer = await response.json(content_type=None)
            if response.status != _CREATED:
                raise RegistrationError(answer.get("detail") or answer.get("title") or str(response.status))
            return str(answer["_id"])


async def wait_for_first_scan(api_url: str, library_id: str, terminal: Terminal) -> int:
    """Show the scan's progress until it is done; returns the number of images."""
    async with _session(api_url) as session:
        while True:
            for library in await _libraries(session):
                if library["_id"] != library_id:
                    continue
                if library["last_scanned"] and not library["scanning"]:
                    return int(library["indexed_count"])
                terminal.progress_bar("indexing", library["scan_done"], library["scan_total"])
            await asyncio.sleep(POLL_S)


def _session(api_url: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(api_url, timeout=aiohttp.ClientTimeout(total=30))


async def _libraries(session: aiohttp.ClientSession) -> list[dict[str, Any]]:
    async with session.get("/api/libraries") as response:
        answer = await response.json(content_type=None)
        if not isinstance(answer, list):
            raise RegistrationError(str(answer.get("detail", answer)))
        return answer

"""A service's pages for those who run it, as they read them."""

from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from yarl import URL


@dataclass(frozen=True, slots=True)
class OpsPages:
    """The pages of the service at this address."""

    base: URL

    @classmethod
    def for_server(cls, server: TestServer) -> "OpsPages":
        return cls(server.make_url("/"))

    @classmethod
    def for_port(cls, port: int) -> "OpsPages":
        return cls(URL(f"http://127.0.0.1:{port}/"))

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """The status and the body of `/readyz`."""
        async with aiohttp.ClientSession() as session, session.get(self.base / "readyz") as response:
            return response.status, await response.json()

    async def metric(self, line: str) -> float:
        """The value of a metric, named with its labels as the page has it; 0 where it has none yet."""
        async with aiohttp.ClientSession() as session, session.get(self.base / "metrics") as response:
            text = await response.text()
        values = (float(each.split()[-1]) for each in text.splitlines() if each.startswith(f"{line} "))
        return next(values, 0.0)

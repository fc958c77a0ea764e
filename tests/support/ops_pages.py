"""Reads the operational endpoints of a service: `/readyz` and `/metrics`."""

from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from yarl import URL


@dataclass(frozen=True, slots=True)
class OpsPages:
    """The operational endpoints of the service at a base URL."""

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
        """The value of a series, given as `name{label="value"}`; 0 when the series does not exist yet."""
        async with aiohttp.ClientSession() as session, session.get(self.base / "metrics") as response:
            text = await response.text()
        values = (float(series.split()[-1]) for series in text.splitlines() if series.startswith(f"{line} "))
        return next(values, 0.0)

"""Liveness, readiness and metrics endpoints."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import hdrs, web

from tagify.metrics import Metrics
from tagify.web.instrumentation import UNLOGGED
from tagify.web.json import json_response

Check = Callable[[], Awaitable[None]]
"""Checks one dependency; returns when it is healthy and raises with the reason when it is not."""

CHECK_TIMEOUT_S = 1.0


class Readiness:
    """Health checks of a service's dependencies."""

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self._checks = checks

    async def check_all(self) -> dict[str, str]:
        """`ok` or the reason of the failure, by dependency."""
        outcomes = await asyncio.gather(*(_run_check(check) for check in self._checks.values()))
        return dict(zip(self._checks, outcomes, strict=True))

    async def failure_summary(self) -> str:
        """The failed checks in one line; empty when the service is ready."""
        outcomes = await self.check_all()
        return "; ".join(f"{name}: {outcome}" for name, outcome in outcomes.items() if outcome != "ok")


READINESS: Final = web.AppKey("readiness", Readiness)


async def _run_check(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as error:
        return str(error) or type(error).__name__
    return "ok"


def add_health_routes(app: web.Application, metrics: Metrics, checks: Mapping[str, Check]) -> None:
    """Add `/livez` (the process responds), `/readyz` (its dependencies respond) and `/metrics`."""

    async def livez(_: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(request: web.Request) -> web.Response:
        request[UNLOGGED] = True
        outcomes = await app[READINESS].check_all()
        ready = all(outcome == "ok" for outcome in outcomes.values())
        return json_response(
            {"status": "ok" if ready else "unready", "checks": outcomes},
            status=200 if ready else 503,
            headers={hdrs.CACHE_CONTROL: "no-store"},
        )

    async def show_metrics(_: web.Request) -> web.Response:
        await metrics.refresh()
        body, headers = metrics.exposition()
        return web.Response(body=body, headers=headers)

    app[READINESS] = Readiness(checks)
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", show_metrics)])

"""Wiring: the daemon's parts, each with its lifetime, and its health page."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from ingest.container import Container
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.metrics import Metrics
from tagify.settings import IngestSettings
from tagify.web import new_app

INGEST_TASK: Final = web.AppKey("daemon", asyncio.Task[None])

CONTAINER: Final = web.AppKey("parts", Container)


def build(settings: IngestSettings) -> web.Application:
    """The daemon as an application: its work is a background task, its pages tell how it does."""
    metrics = Metrics()

    async def catalog_answers() -> None:
        await app[CONTAINER].catalog.ping()

    async def objects_answer() -> None:
        await app[CONTAINER].store.ping()

    async def daemon_works() -> None:
        if app[INGEST_TASK].done():
            raise TagifyError("the daemon's work has ended; see its log")

    async def nothing_waits() -> None:
        # A store that is full answers, and yet nothing can be stored.
        if reasons := app[CONTAINER].outages.reasons:
            raise TagifyError(f"waiting for {reasons}")

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        app[CONTAINER] = parts = Container(settings, metrics)
        app[INGEST_TASK] = task = asyncio.create_task(parts.run(), name="ingest")
        yield
        await cancel_and_wait(task)
        await parts.close()

    checks = {
        "mongo": catalog_answers,
        "s3": objects_answer,
        "daemon": daemon_works,
        "progress": nothing_waits,
    }
    app = new_app(metrics, checks)
    app.cleanup_ctx.append(lifetime)
    return app

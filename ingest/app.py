"""The ingest daemon as an aiohttp application: a background task, health checks and metrics."""

from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from ingest.container import Container
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.metrics import Metrics
from tagify.settings import IngestSettings
from tagify.web import TASKS, add_disk_metrics, new_app

CONTAINER: Final = web.AppKey("container", Container)


def build(settings: IngestSettings) -> web.Application:
    """The application: the container runs as a background task; the health checks report on it."""
    metrics = Metrics()

    async def check_catalog() -> None:
        await app[CONTAINER].catalog.ping()

    async def check_store() -> None:
        await app[CONTAINER].store.ping()

    async def check_task() -> None:
        if failure := app[TASKS].failure:
            raise TagifyError(f"{failure}; see the log")

    async def check_outages() -> None:
        # A full store answers pings, but rejects uploads.
        if reasons := app[CONTAINER].outages.reasons:
            raise TagifyError(f"waiting for {reasons}")

    async def lifetime(app: web.Application) -> AsyncIterator[None]:
        app[CONTAINER] = container = Container(settings, metrics, app[TASKS])
        task = app[TASKS].supervise("ingest", container.run, restart=False)
        yield
        await cancel_and_wait(task)
        await container.close()

    checks = {
        "mongo": check_catalog,
        "s3": check_store,
        "daemon": check_task,
        "progress": check_outages,
    }
    add_disk_metrics(metrics, settings.ingest_disk_folders)
    app = new_app(metrics, checks, slow_request_s=settings.slow_request_s)
    app.cleanup_ctx.append(lifetime)
    return app

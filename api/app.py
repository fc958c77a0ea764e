"""Wiring: the API's parts, each with its lifetime, and its routes."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Middleware

from api import openapi, static_pages
from api.app_keys import (
    CATALOG,
    DISK,
    DOCS,
    EVENTS,
    INDEXING,
    ITEMS,
    OFFSET_USES,
    OPENAPI,
    PAGES,
    SETTINGS,
    SHARED,
    STORE_URLS,
)
from api.events import Events
from api.handlers import docs, events, images, jobs, libraries, page, tags
from api.index_builder import Indexing
from api.job_worker import Worker
from api.presigned_urls import StoreUrls
from api.rate_limit import Buckets, ConcurrencyLimiter, costly, limited, tell_limits
from api.serializers import Items
from tagify import __version__
from tagify.catalog import Catalog
from tagify.concurrency.coalesce import Shared
from tagify.concurrency.tasks import cancel_and_wait
from tagify.concurrency.thread_pool import Threads
from tagify.metrics import Metrics
from tagify.settings import ApiSettings
from tagify.web import METRICS, JsonBody, new_app

MAX_BODY = 2 << 20
"""Largest body of a request, in bytes: 10,000 ids and their tags."""


def build(settings: ApiSettings) -> web.Application:
    """The API as an application. It starts where MongoDB is away too, and is ready once it is there."""
    metrics = Metrics()

    async def catalog_answers() -> None:
        await app[INDEXING].check()

    app = new_app(
        metrics,
        {"mongo": catalog_answers},
        cors_origins=settings.cors_origins,
        max_body=MAX_BODY,
        service_middlewares=_limits(settings, metrics),
    )
    app.on_response_prepare.append(tell_limits)
    app[SETTINGS] = settings
    app[STORE_URLS] = StoreUrls(settings)
    signed = app[STORE_URLS] if settings.media_mode == "presigned" else None
    app[ITEMS] = Items(settings.media_base_url, settings.media_widths, signed)
    app[PAGES] = static_pages.load(static_pages.GALLERY)
    app[DOCS] = static_pages.load(static_pages.REFERENCE)
    app[OFFSET_USES] = metrics.counter("api_offset_lists_total", "Lists asked for in the deprecated form.")
    joined = metrics.counter("api_answers_shared_total", "Questions answered along with another one.")
    app[SHARED] = Shared(joined)
    app.cleanup_ctx.extend([_stores, _background])
    app.on_shutdown.append(_end_streams)
    for part in (images, tags, jobs, libraries, events, page, docs):
        app.add_routes(part.routes)
    app[OPENAPI] = JsonBody(openapi.describe(app, openapi.OPERATIONS, __version__))
    return app


def _limits(settings: ApiSettings, metrics: Metrics) -> list[Middleware]:
    refused = metrics.counter(
        "api_requests_refused_total", "Requests refused, by reason: rate or busy.", labelled=True
    )
    middlewares = [costly(ConcurrencyLimiter(settings.api_costly), refused)]
    if settings.api_rate:
        buckets = Buckets(settings.api_rate, settings.api_burst)
        middlewares.insert(0, limited(buckets, settings.trusted_proxies, refused))
    return middlewares


async def _stores(app: web.Application) -> AsyncIterator[None]:
    app[CATALOG] = Catalog(app[SETTINGS], app[METRICS])
    app[DISK] = Threads("disk", 2)
    yield
    await app[DISK].close()
    await app[CATALOG].close()


async def _background(app: web.Application) -> AsyncIterator[None]:
    app[INDEXING] = Indexing(app[CATALOG])
    app[EVENTS] = Events(
        app[CATALOG].change_stream, app[ITEMS], app[METRICS], max_clients=app[SETTINGS].api_event_clients
    )
    parts = (app[INDEXING], app[EVENTS], Worker(app[CATALOG].tag_jobs))
    tasks = [asyncio.create_task(part.run()) for part in parts]
    yield
    await cancel_and_wait(*tasks)


async def _end_streams(app: web.Application) -> None:
    app[EVENTS].close()

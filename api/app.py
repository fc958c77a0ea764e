"""Composition root of the API: creates its objects, background tasks and routes."""

from collections.abc import AsyncIterator

from aiohttp import web
from aiohttp.typedefs import Middleware

from api import openapi, static_pages
from api.app_keys import (
    CATALOG,
    COALESCER,
    EVENT_HUB,
    FOLDER_THREADS,
    GALLERY_FILES,
    INDEX_BUILDER,
    OFFSET_COUNTER,
    OPENAPI_DOCUMENT,
    PRESIGNED_URLS,
    REFERENCE_FILES,
    SERIALIZER,
    SETTINGS,
)
from api.events import EventHub
from api.folder_threads import FolderThreads
from api.handlers import docs, events, images, jobs, libraries, media, page, tags
from api.index_builder import IndexBuilder
from api.job_worker import JobWorker
from api.presigned_urls import PresignedUrls
from api.rate_limit import (
    TokenBuckets,
    add_rate_limit_headers,
    expensive_request_limiter,
    limit_concurrency,
    limit_rate,
)
from api.serializers import Serializer
from tagify import __version__
from tagify.catalog import Catalog
from tagify.concurrency.coalesce import ReadCoalescer
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.settings import ApiSettings
from tagify.web import METRICS, TASKS, JsonBody, allowed_hosts, new_app

MAX_BODY_BYTES = 2 << 20
"""Maximum request body, in bytes: enough for 10,000 ids and their tags."""


def build(settings: ApiSettings) -> web.Application:
    """The API's application. It starts without MongoDB, and becomes ready once MongoDB responds."""
    metrics = Metrics()

    async def check_catalog() -> None:
        await app[INDEX_BUILDER].check()

    app = new_app(
        metrics,
        {"mongo": check_catalog},
        cors_origins=settings.cors_origins,
        allowed_hosts=allowed_hosts(settings, settings.api_host),
        trusted_proxies=settings.trusted_proxies,
        slow_request_s=settings.slow_request_s,
        max_body=MAX_BODY_BYTES,
        service_middlewares=_limit_middlewares(settings, metrics),
    )
    app.on_response_prepare.append(add_rate_limit_headers)
    app[SETTINGS] = settings
    app[PRESIGNED_URLS] = PresignedUrls(settings)
    presigned_urls = app[PRESIGNED_URLS] if settings.media_mode == "presigned" else None
    app[SERIALIZER] = Serializer(settings.media_base_url, settings.media_widths, presigned_urls)
    _load_static_files(app, _media_url_pattern(settings), presigned_urls.origin if presigned_urls else "")
    app[OFFSET_COUNTER] = metrics.counter(
        "tagify_api_offset_lists_total",
        "Lists requested with the deprecated offset.",
        old="api_offset_lists_total",
    )
    coalesced = metrics.counter(
        "tagify_api_answers_shared_total",
        "Requests that shared the response of another one.",
        old="api_answers_shared_total",
    )
    app[COALESCER] = ReadCoalescer(coalesced)
    app.cleanup_ctx.extend([_resources, _background_tasks])
    app.on_shutdown.append(_close_event_streams)
    for handlers in (images, media, tags, jobs, libraries, events, page, docs):
        app.add_routes(handlers.routes)
    app[OPENAPI_DOCUMENT] = JsonBody(openapi.build_document(app, openapi.OPERATIONS, __version__))
    return app


def _media_url_pattern(settings: ApiSettings) -> str:
    """Where media requests end, as in a Content-Security-Policy. Empty: at the origin of the page."""
    any_host = f"http://*:{settings.media_port}" if settings.media_port else ""
    return settings.media_base_url or any_host


def _load_static_files(app: web.Application, *media_urls: str) -> None:
    policy = static_pages.content_security_policy
    app[GALLERY_FILES] = static_pages.load_folder(static_pages.GALLERY_FOLDER, policy(*media_urls))
    app[REFERENCE_FILES] = static_pages.load_folder(static_pages.REFERENCE_FOLDER, policy())


def _limit_middlewares(settings: ApiSettings, metrics: Metrics) -> list[Middleware]:
    rejected = metrics.counter(
        "tagify_api_requests_refused_total",
        "Requests rejected, by reason: rate or busy.",
        labelled=True,
        old="api_requests_refused_total",
    )
    middlewares = [limit_concurrency(expensive_request_limiter(settings.api_costly, metrics), rejected)]
    if settings.api_rate:
        buckets = TokenBuckets(settings.api_rate, settings.api_burst)
        middlewares.insert(0, limit_rate(buckets, settings.trusted_proxies, rejected))
    return middlewares


async def _resources(app: web.Application) -> AsyncIterator[None]:
    app[CATALOG] = Catalog(app[SETTINGS], app[METRICS])
    app[FOLDER_THREADS] = FolderThreads()
    yield
    await app[FOLDER_THREADS].close()
    await app[CATALOG].close()


async def _background_tasks(app: web.Application) -> AsyncIterator[None]:
    app[INDEX_BUILDER] = IndexBuilder(app[CATALOG])
    app[EVENT_HUB] = EventHub(
        app[CATALOG].change_stream, app[SERIALIZER], app[METRICS], max_clients=app[SETTINGS].api_event_clients
    )
    tasks = [
        app[TASKS].supervise("index builder", app[INDEX_BUILDER].run, restart=True),
        app[TASKS].supervise("event hub", app[EVENT_HUB].run, restart=True),
        app[TASKS].supervise("job worker", JobWorker(app[CATALOG].tag_jobs).run, restart=True),
    ]
    yield
    await cancel_and_wait(*tasks)


async def _close_event_streams(app: web.Application) -> None:
    app[EVENT_HUB].close()

"""Wiring: the edge's parts, each with its lifetime, and its routes."""

from collections.abc import AsyncIterator

from aiohttp import web

from edge.cache import DiskCache
from edge.circuit import Circuit
from edge.handlers import originals, thumbs, variants
from edge.keys import BLOBS, BYTES_OUT, CACHE, CATALOG, LOOKUP, ORIGIN, SETTINGS, VARIANTS
from edge.lookup import Lookup
from edge.origin import Origin, upstream_session
from edge.variants import Variants
from tagify.blobs import Blobs
from tagify.catalog import Catalog
from tagify.metrics import Metrics
from tagify.settings import EdgeSettings
from tagify.web import METRICS, new_app

BLOB_THREADS = 8


def build(settings: EdgeSettings) -> web.Application:
    """The edge as an application."""
    metrics = Metrics()

    async def catalog_answers() -> None:
        await app[CATALOG].ping()

    async def objects_answer() -> None:
        await app[BLOBS].ping()

    app = new_app(
        metrics, {"mongo": catalog_answers, "s3": objects_answer}, cors_origins=settings.cors_origins
    )
    app[SETTINGS] = settings
    app[BYTES_OUT] = metrics.counter("edge_bytes_out_total", "Bytes of media sent.")
    app.cleanup_ctx.extend([_stores, _origin, _variants])
    for part in (variants, originals, thumbs):
        app.add_routes(part.routes)
    return app


async def _stores(app: web.Application) -> AsyncIterator[None]:
    app[CATALOG] = Catalog(app[SETTINGS])
    app[BLOBS] = Blobs(app[SETTINGS], threads=BLOB_THREADS)
    yield
    await app[BLOBS].close()
    await app[CATALOG].close()


async def _origin(app: web.Application) -> AsyncIterator[None]:
    settings, metrics = app[SETTINGS], app[METRICS]
    state = metrics.gauge("edge_circuit_open", "Whether a server is left alone for failing: 1, by server.")
    refused = metrics.counter("edge_circuit_refused_total", "Calls refused meanwhile.", labelled=True)
    async with upstream_session(settings.s3_timeout_s) as session:
        app[ORIGIN] = Origin(
            session,
            app[BLOBS],
            Circuit("S3", state=state, refused=refused),
            seconds=metrics.histogram("edge_upstream_seconds", "Time to the S3 server's head, by method."),
            received=metrics.counter("edge_bytes_in_total", "Bytes of originals from the S3 server."),
            wait_s=settings.s3_timeout_s,
        )
        app[LOOKUP] = Lookup(
            app[CATALOG],
            app[ORIGIN],
            Circuit("MongoDB", state=state, refused=refused),
            wait_s=settings.mongo_timeout_s,
            stale=metrics.counter("edge_stale_total", "Answers from memory while MongoDB is away."),
        )
        yield


async def _variants(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    app[CACHE] = DiskCache(settings.edge_cache_dir, settings.edge_cache_bytes, app[METRICS])
    await app[CACHE].open()
    app[VARIANTS] = Variants(
        app[CACHE],
        app[BLOBS],
        app[METRICS],
        workers=settings.edge_workers,
        queue_size=settings.edge_queue_size,
        max_pixels=settings.max_pixels,
    )
    yield
    await app[VARIANTS].close()
    await app[CACHE].close()

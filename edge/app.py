"""Wiring: the edge's parts, each with its lifetime, and its routes."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from edge.app_keys import (
    BLOBS,
    BYTES_OUT,
    CACHE,
    CATALOG,
    LAYERS,
    LOOKUP,
    MEMORY,
    ORIGIN,
    REDIRECTS,
    SANDBOX,
    SETTINGS,
    VARIANTS,
)
from edge.cache import DiskCache
from edge.handlers import originals, thumbs, variants
from edge.handlers.fast_path import at_hand
from edge.metadata_cache import Lookup
from edge.originals.presigned_redirect import Redirects
from edge.originals.upstream import Origin, upstream_session
from edge.purge.follower import UNDER_WAY_S, Follower
from edge.purge.nginx import NginxCaches, purging_session
from edge.variants.key import all_of
from edge.variants.memory_cache import Memory
from edge.variants.renderer import VariantRenderer
from edge.variants.service import Variants
from tagify.catalog import Catalog, PurgeEntry
from tagify.concurrency.circuit_breaker import Circuit
from tagify.concurrency.limiter import UPSTREAMS, Slots
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.sandbox import Sandbox
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tagify.web import FAST_PATH, METRICS, REQUEST_SECONDS, new_app

BLOB_THREADS = 2
"""The store is asked by Origin; these are for readiness."""


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
    app[REDIRECTS] = Redirects(settings)
    app[BYTES_OUT] = metrics.counter("edge_bytes_out_total", "Bytes of media sent.")
    app[LAYERS] = metrics.counter(
        "edge_variant_answers_total",
        "Variants by where they came from: memory, disk, handed (as a file), made, joined or refused.",
        labelled=True,
    )
    held = metrics.gauge("edge_memory_bytes", "Answers in memory, in bytes.")
    app[MEMORY] = Memory(settings.edge_memory_bytes, held)
    app.cleanup_ctx.extend([_stores, _origin, _sandbox, _variants, _purging])
    for part in (originals, variants, thumbs):
        app.add_routes(part.routes)
    return app


async def _stores(app: web.Application) -> AsyncIterator[None]:
    app[CATALOG] = Catalog(app[SETTINGS], app[METRICS])
    app[BLOBS] = ObjectStore(app[SETTINGS], threads=BLOB_THREADS)
    yield
    await app[BLOBS].close()
    await app[CATALOG].close()


async def _origin(app: web.Application) -> AsyncIterator[None]:
    settings, metrics = app[SETTINGS], app[METRICS]
    state = metrics.gauge("edge_circuit_open", "Whether a server is left alone for failing: 1, by server.")
    refused = metrics.counter("edge_circuit_refused_total", "Calls refused meanwhile.", labelled=True)
    transfers = metrics.gauge("edge_transfers", "Transfers from the S3 server that are under way.")
    async with upstream_session(settings.s3_timeout_s) as session:
        app[ORIGIN] = Origin(
            session,
            app[BLOBS],
            Circuit("S3", state=state, refused=refused),
            Slots(UPSTREAMS, wait_s=settings.s3_timeout_s, taken=transfers),
            seconds=metrics.histogram("edge_upstream_seconds", "Time to the S3 server's head, by method."),
            received=metrics.counter("edge_bytes_in_total", "Bytes from the S3 server."),
            wait_s=settings.s3_timeout_s,
        )
        app[LOOKUP] = Lookup(
            app[CATALOG],
            app[ORIGIN],
            Circuit("MongoDB", state=state, refused=refused),
            wait_s=settings.mongo_timeout_s,
            stale=metrics.counter("edge_stale_total", "Images by id as MongoDB had them a while ago."),
        )
        yield
        await app[LOOKUP].close()


async def _sandbox(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    app[SANDBOX] = Sandbox(
        settings.edge_workers,
        memory_bytes=settings.edge_decode_mb << 20,
        deadline_s=settings.edge_decode_s,
    )
    # Loading the decoders takes a moment, and nothing but the first variant waits for it.
    opening = asyncio.create_task(app[SANDBOX].open())
    yield
    await cancel_and_wait(opening)
    await app[SANDBOX].close()


async def _variants(app: web.Application) -> AsyncIterator[None]:
    settings, metrics = app[SETTINGS], app[METRICS]
    app[CACHE] = DiskCache(
        settings.edge_cache_dir, settings.edge_cache_bytes, metrics, handing_over=settings.edge_x_accel
    )
    await app[CACHE].open()
    maker = VariantRenderer(
        app[SANDBOX],
        app[ORIGIN],
        app[LOOKUP],
        metrics,
        widths=settings.media_widths,
        max_pixels=settings.max_pixels,
        decode_bytes=settings.edge_decode_mb << 20,
        avif_workers=settings.edge_avif_workers,
    )
    room = settings.edge_workers + settings.edge_queue_size
    app[VARIANTS] = Variants(
        app[MEMORY], app[CACHE], maker, app[LAYERS], metrics, widths=settings.media_widths, room=room
    )
    app[FAST_PATH] = at_hand(
        app[VARIANTS], app[REQUEST_SECONDS], app[BYTES_OUT], shared=bool(settings.cors_origins)
    )
    yield
    await app[VARIANTS].close()
    await app[CACHE].close()


async def _purging(app: web.Application) -> AsyncIterator[None]:
    settings, purges = app[SETTINGS], app[CATALOG].purge_log
    folder, widths = settings.edge_cache_dir, settings.media_widths
    forgotten = app[METRICS].counter(
        "edge_forgotten_total", "Removed contents that a cache has forgotten, by cache.", labelled=True
    )

    async def forget(purge: PurgeEntry) -> None:
        await app[VARIANTS].forget(all_of(purge.content, widths))

    async with purging_session() as session:
        front = NginxCaches(session, settings.edge_purge_url, widths=widths, origins=settings.cors_origins)
        followers = [Follower(purges, folder / "edge.purged", forget, forgotten, age_s=UNDER_WAY_S)]
        if settings.edge_purge_url:
            # NGINX is filled from here: it forgets after every edge has.
            later = 2 * UNDER_WAY_S
            followers.append(Follower(purges, folder / "nginx.purged", front.purge, forgotten, age_s=later))
        tasks = [asyncio.create_task(follower.run()) for follower in followers]
        yield
        await cancel_and_wait(*tasks)

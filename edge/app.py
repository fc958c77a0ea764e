"""Composition root of the edge: builds its objects, each with its lifetime, and adds the routes."""

from collections.abc import AsyncIterator

from aiohttp import web

from edge.app_keys import (
    BYTES_OUT,
    CATALOG,
    DISK_CACHE,
    MEMORY_CACHE,
    METADATA_CACHE,
    OBJECT_STORE,
    PRESIGNED_REDIRECT,
    SANDBOX,
    SETTINGS,
    UPSTREAM,
    VARIANT_RESPONSES,
    VARIANT_SERVICE,
)
from edge.cache import DiskCache
from edge.handlers import originals, thumbs, variants
from edge.handlers.fast_path import build_fast_path
from edge.metadata_cache import MetadataCache
from edge.originals.presigned_redirect import PresignedRedirect
from edge.originals.upstream import MAX_TRANSFERS, Upstream, upstream_session
from edge.purge.follower import PURGE_DELAY_S, PurgeFollower
from edge.purge.nginx import NginxCachePurger, purge_session
from edge.variants.key import all_variant_keys
from edge.variants.memory_cache import MemoryCache
from edge.variants.renderer import VariantRenderer
from edge.variants.service import VariantService
from tagify.catalog import Catalog, PurgeEntry
from tagify.concurrency.circuit_breaker import CircuitBreaker
from tagify.concurrency.limiter import TimedSemaphore
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.sandbox import Sandbox
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tagify.web import FAST_PATH, METRICS, REQUEST_SECONDS, TASKS, add_disk_metrics, allowed_hosts, new_app
from tagify.web.resource_policy import RESOURCE_POLICY, resource_policy

STORE_THREADS = 2
"""Threads of the S3 client, which only checks readiness here: Upstream reads the objects."""


def build(settings: EdgeSettings) -> web.Application:
    """The application of the edge service."""
    metrics = Metrics()

    async def ping_catalog() -> None:
        await app[CATALOG].ping()

    async def ping_store() -> None:
        await app[OBJECT_STORE].ping()

    app = new_app(
        metrics,
        {"mongo": ping_catalog, "s3": ping_store},
        cors_origins=settings.cors_origins,
        allowed_hosts=allowed_hosts(settings, settings.edge_host),
        trusted_proxies=settings.trusted_proxies,
        slow_request_s=settings.slow_request_s,
    )
    app.on_response_prepare.append(_add_resource_policy)
    app[SETTINGS] = settings
    app[PRESIGNED_REDIRECT] = PresignedRedirect(settings)
    app[BYTES_OUT] = metrics.counter(
        "tagify_edge_sent_bytes_total", "Bytes of media sent to clients.", old="edge_bytes_out_total"
    )
    app[VARIANT_RESPONSES] = metrics.counter(
        "tagify_edge_variant_answers_total",
        "Variants served, by origin: memory, disk, handed (NGINX sends the file), made, joined or refused.",
        labelled=True,
        old="edge_variant_answers_total",
    )
    memory_gauge = metrics.gauge(
        "tagify_edge_memory_bytes", "Size of the memory cache, in bytes.", old="edge_memory_bytes"
    )
    app[MEMORY_CACHE] = MemoryCache(settings.edge_memory_bytes, memory_gauge)
    add_disk_metrics(metrics, [settings.edge_cache_dir])
    app.cleanup_ctx.extend([_stores, _upstream, _sandbox, _variants, _purge_followers])
    for module in (originals, variants, thumbs):
        app.add_routes(module.routes)
    return app


def _resource_policy(settings: EdgeSettings) -> str:
    return resource_policy(settings.cors_origins, settings.media_base_url, settings.media_port)


async def _add_resource_policy(request: web.Request, response: web.StreamResponse) -> None:
    settings = request.app[SETTINGS]
    response.headers[RESOURCE_POLICY] = _resource_policy(settings)


async def _stores(app: web.Application) -> AsyncIterator[None]:
    app[CATALOG] = Catalog(app[SETTINGS], app[METRICS])
    app[OBJECT_STORE] = ObjectStore(app[SETTINGS], app[METRICS], threads=STORE_THREADS)
    yield
    await app[OBJECT_STORE].close()
    await app[CATALOG].close()


async def _upstream(app: web.Application) -> AsyncIterator[None]:
    settings, metrics = app[SETTINGS], app[METRICS]
    state = metrics.gauge(
        "tagify_edge_circuit_open", "1 while the circuit breaker is open, by server.", old="edge_circuit_open"
    )
    refused = metrics.counter(
        "tagify_edge_circuit_refused_total",
        "Calls refused by an open circuit.",
        labelled=True,
        old="edge_circuit_refused_total",
    )
    transfers = metrics.gauge(
        "tagify_edge_transfers", "Transfers from the S3 server in progress.", old="edge_transfers"
    )
    async with upstream_session(settings.s3_timeout_s) as session:
        app[UPSTREAM] = Upstream(
            session,
            app[OBJECT_STORE],
            CircuitBreaker("S3", state=state, refused=refused),
            TimedSemaphore(
                MAX_TRANSFERS,
                wait_s=settings.s3_timeout_s,
                in_use=transfers,
                what="transfers from the S3 server",
            ),
            seconds=metrics.histogram(
                "tagify_edge_upstream_seconds",
                "Time to the S3 server's response head, by method.",
                old="edge_upstream_seconds",
            ),
            received=metrics.counter(
                "tagify_edge_received_bytes_total",
                "Bytes received from the S3 server.",
                old="edge_bytes_in_total",
            ),
            read_timeout_s=settings.s3_timeout_s,
        )
        app[METADATA_CACHE] = MetadataCache(
            app[CATALOG],
            app[UPSTREAM],
            CircuitBreaker("MongoDB", state=state, refused=refused),
            timeout_s=settings.mongo_timeout_s,
            stale=metrics.counter(
                "tagify_edge_stale_answers_total",
                "Images served from a stale entry of the cache.",
                old="edge_stale_total",
            ),
        )
        yield
        await app[METADATA_CACHE].close()


async def _sandbox(app: web.Application) -> AsyncIterator[None]:
    settings = app[SETTINGS]
    app[SANDBOX] = Sandbox(
        settings.edge_workers,
        memory_bytes=settings.edge_decode_mb << 20,
        deadline_s=settings.edge_decode_s,
    )
    # Opened in the background: loading the decoders takes a moment, and only variants need them.
    open_task = app[TASKS].supervise("sandbox start", app[SANDBOX].open, restart=True)
    yield
    await cancel_and_wait(open_task)
    await app[SANDBOX].close()


async def _variants(app: web.Application) -> AsyncIterator[None]:
    settings, metrics = app[SETTINGS], app[METRICS]
    app[DISK_CACHE] = DiskCache(
        settings.edge_cache_dir, settings.edge_cache_bytes, metrics, x_accel=settings.edge_x_accel
    )
    await app[DISK_CACHE].open()
    renderer = VariantRenderer(
        app[SANDBOX],
        app[UPSTREAM],
        app[METADATA_CACHE],
        metrics,
        widths=settings.media_widths,
        max_pixels=settings.max_pixels,
        decode_bytes=settings.edge_decode_mb << 20,
        workers=settings.edge_workers,
        avif_workers=settings.edge_avif_workers,
    )
    capacity = settings.edge_workers + settings.edge_queue_size
    app[VARIANT_SERVICE] = VariantService(
        app[MEMORY_CACHE],
        app[DISK_CACHE],
        renderer,
        app[VARIANT_RESPONSES],
        metrics,
        widths=settings.media_widths,
        capacity=capacity,
    )
    app[FAST_PATH] = build_fast_path(
        app[VARIANT_SERVICE],
        app[REQUEST_SECONDS],
        app[BYTES_OUT],
        cors=bool(settings.cors_origins),
        policy=_resource_policy(settings),
        allowed_hosts=allowed_hosts(settings, settings.edge_host),
    )
    yield
    await app[VARIANT_SERVICE].close()
    await app[DISK_CACHE].close()


async def _purge_followers(app: web.Application) -> AsyncIterator[None]:
    settings, purge_log = app[SETTINGS], app[CATALOG].purge_log
    cache_dir, widths = settings.edge_cache_dir, settings.media_widths
    invalidations = app[METRICS].counter(
        "tagify_edge_invalidations_total",
        "Removed contents invalidated, by cache.",
        labelled=True,
        old="edge_forgotten_total",
    )

    async def invalidate(purge: PurgeEntry) -> None:
        await app[VARIANT_SERVICE].invalidate(all_variant_keys(purge.content, widths))

    async with purge_session() as session:
        nginx_caches = NginxCachePurger(
            session, settings.edge_purge_url, widths=widths, origins=settings.cors_origins
        )
        followers = [
            PurgeFollower(
                purge_log, cache_dir / "edge.purged", invalidate, invalidations, delay_s=PURGE_DELAY_S
            )
        ]
        if settings.edge_purge_url:
            # NGINX is filled from the edges, so it is purged after all of them.
            nginx_delay_s = 2 * PURGE_DELAY_S
            followers.append(
                PurgeFollower(
                    purge_log,
                    cache_dir / "nginx.purged",
                    nginx_caches.purge,
                    invalidations,
                    delay_s=nginx_delay_s,
                )
            )
        tasks = [app[TASKS].supervise("purge follower", item.run, restart=True) for item in followers]
        yield
        await cancel_and_wait(*tasks)

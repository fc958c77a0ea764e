"""The life cycle of a service: load settings, serve, shut down gracefully."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import uvloop
from aiohttp import web

from tagify.concurrency.task_supervisor import BackgroundTaskFailed, TaskFactory, TaskSupervisor
from tagify.concurrency.tasks import cancel_and_wait, run_until_first_ends
from tagify.errors import SettingsError, TagifyError
from tagify.logs import configure_logging, fields
from tagify.runtime.connections import LimitedAppRunner, connection_limit
from tagify.runtime.graceful_shutdown import GracefulShutdown
from tagify.runtime.readiness import notify_when_ready
from tagify.runtime.reload import SettingsReloader
from tagify.runtime.sd_notify import SystemdNotifier, ping_watchdog, watchdog_period_s
from tagify.runtime.sockets import Address, listen
from tagify.sandbox.confinement import hide_memory
from tagify.settings import CommonSettings, load
from tagify.web import METRICS, READINESS, TASKS
from tagify.web.request_limits import MAX_REQUEST_LINE_BYTES

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=CommonSettings)

FORCED_EXIT_S = 20.0
"""After a fatal failure of a background task the process has this long for its cleanup, in seconds, beside
the time for open requests; then it exits without."""


def serve(
    name: str,
    model: type[S],
    build: Callable[[S], web.Application],
    address: Callable[[S], Address],
) -> int:
    """Run a service until SIGTERM or SIGINT, or until a background task has a fatal failure; the exit status.

    `build` creates the application from its settings; `address` is where it listens when systemd
    passes no socket.
    """

    async def start(settings: S) -> int:
        notifier = SystemdNotifier.from_environ(os.environ)
        reloader = SettingsReloader(name, settings, notifier)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.reload)
        return await _serve(build(settings), address(settings), notifier, settings)

    return run(name, model, start)


def run(name: str, model: type[S], work: Callable[[S], Coroutine[Any, Any, int]]) -> int:
    """Load the settings and run `work` in a new event loop; returns the exit status.

    1: a TagifyError, or a fatal failure of a background task, 2: invalid settings, 130: interrupted.
    """
    try:
        settings = load(model)
    except SettingsError as error:
        print(f"{name}: {error}".replace("\n", f"\n{name}: "), file=sys.stderr)
        return 2
    configure_logging(name, settings.log_level, settings.log_format)
    hide_memory()  # it holds credentials, and decoders run as the same user
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work(settings))
    except TagifyError as error:
        logger.error("%s", error)  # noqa: TRY400 - the message has the fix; a traceback would hide it
        return 1
    except KeyboardInterrupt:
        return 130


async def _serve(
    app: web.Application, address: Address, notifier: SystemdNotifier, settings: CommonSettings
) -> int:
    stop = _stop_on_signals()
    tasks = app[TASKS]
    shutdown = GracefulShutdown(app)
    runner = LimitedAppRunner(
        app,
        connection_limit(settings.max_connections),
        open_gauge=app[METRICS].gauge(
            "tagify_http_connections", "Open client connections.", old="http_connections"
        ),
        closed_counter=app[METRICS].counter(
            "tagify_http_connections_ended_total",
            "Connections closed by the server, by reason: idle, stalled or crowded.",
            labelled=True,
            old="http_connections_ended_total",
        ),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=settings.drain_s,
        max_line_size=MAX_REQUEST_LINE_BYTES,
    )
    period_s = watchdog_period_s(os.environ)
    async with _background(tasks, "watchdog", lambda: ping_watchdog(notifier, period_s)):
        await runner.setup()
        try:
            for url in await listen(runner, address):
                logger.info("listening", extra=fields(address=url))
            async with (
                _background(tasks, "readiness", lambda: notify_when_ready(app[READINESS], notifier)),
                _background(tasks, "connection limit", runner.limiter.close_expired),
            ):
                await _wait_for_stop(stop, tasks, settings.drain_s)
            logger.info("stopping")
            notifier.stopping()
            await shutdown.drain(runner)
        finally:
            await runner.cleanup()
    return 1 if tasks.failure else 0


async def _wait_for_stop(stop: asyncio.Event, tasks: TaskSupervisor, drain_s: float) -> None:
    """Return at a signal, or at a fatal failure: then the process exits in bounded time."""
    with suppress(BackgroundTaskFailed):
        await run_until_first_ends(stop.wait(), tasks.wait_for_failure())
    if tasks.failure:
        asyncio.get_running_loop().call_later(drain_s + FORCED_EXIT_S, os._exit, 1)


@asynccontextmanager
async def _background(tasks: TaskSupervisor, name: str, factory: TaskFactory) -> AsyncIterator[None]:
    """Run a supervised task while the block runs; cancel it at the end of the block."""
    task = tasks.supervise(name, factory, restart=True)
    try:
        yield
    finally:
        await cancel_and_wait(task)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop

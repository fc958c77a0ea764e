"""A service from its settings to its end."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop
from aiohttp import web

from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import SettingsError, TagifyError
from tagify.logs import configure, fields
from tagify.runtime.connections import GatedRunner, places
from tagify.runtime.graceful_shutdown import Draining
from tagify.runtime.readiness import announce
from tagify.runtime.reload import Reloader
from tagify.runtime.sd_notify import Notifier, feed, watchdog_s
from tagify.runtime.sockets import Address, listen
from tagify.settings import CommonSettings, load
from tagify.web import METRICS, READINESS
from tagify.web.request_limits import LONGEST_LINE

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=CommonSettings)


def serve(
    name: str,
    model: type[S],
    build: Callable[[S], web.Application],
    address: Callable[[S], Address],
) -> int:
    """Run a service until SIGTERM or SIGINT; the exit status.

    `build` makes the application from its settings; `address` tells where it listens when
    systemd passes no socket.
    """

    async def work(settings: S) -> int:
        notifier = Notifier.of(os.environ)
        reloader = Reloader(name, settings, notifier)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reloader.reload)
        await _serve(build(settings), address(settings), notifier, settings)
        return 0

    return run(name, model, work)


def run(name: str, model: type[S], work: Callable[[S], Coroutine[Any, Any, int]]) -> int:
    """Do some work with the settings of the environment, in a loop of its own; the exit status."""
    try:
        settings = load(model)
    except SettingsError as error:
        print(f"{name}: {error}".replace("\n", f"\n{name}: "), file=sys.stderr)
        return 2
    configure(name, settings.log_level, settings.log_format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work(settings))
    except TagifyError as error:
        logger.error("%s", error)  # noqa: TRY400 - it names what to do; a trace would bury that
        return 1
    except KeyboardInterrupt:
        return 130


async def _serve(
    app: web.Application, address: Address, notifier: Notifier, settings: CommonSettings
) -> None:
    stop = _stop_on_signals()
    draining = Draining(app)
    runner = GatedRunner(
        app,
        places(settings.max_connections),
        count=app[METRICS].gauge("http_connections", "Connections of clients."),
        ended=app[METRICS].counter(
            "http_connections_ended_total", "Connections that only held a place, by reason.", labelled=True
        ),
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=settings.drain_s,
        max_line_size=LONGEST_LINE,
    )
    async with _beside(feed(notifier, watchdog_s(os.environ))):
        await runner.setup()
        try:
            for place in await listen(runner, address):
                logger.info("listening", extra=fields(address=place))
            async with _beside(announce(app[READINESS], notifier)), _beside(runner.gate.sweep()):
                await stop.wait()
            logger.info("stopping")
            notifier.stopping()
            await draining.drain(runner)
        finally:
            await runner.cleanup()


@asynccontextmanager
async def _beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Some work that goes on for as long as the block does, at most."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await cancel_and_wait(task)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop

"""How a service runs: settings, logs, the loop, signals, and an end that is tidy."""

import asyncio
import errno
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop
from aiohttp import web

from tagify.errors import SettingsError, TagifyError
from tagify.logs import configure, fields
from tagify.settings import CommonSettings, load

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=CommonSettings)
DRAIN_S = 5.0
"""How long requests under way may take once the service was told to stop."""


class PortTaken(TagifyError):
    """Something else listens where the service should."""


def serve(
    name: str,
    model: type[S],
    build: Callable[[S], web.Application],
    address: Callable[[S], tuple[str, int]],
) -> int:
    """Run a service until SIGTERM or SIGINT; the exit status.

    `build` makes the application from its settings; `address` tells host and port.
    """

    async def work(settings: S) -> int:
        await _serve(build(settings), *address(settings))
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


async def _serve(app: web.Application, host: str, port: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=DRAIN_S)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        await stop.wait()
        logger.info("stopping")
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        raise PortTaken(
            f"port {port} of {host} is taken by another process; choose another or stop it"
        ) from error
    logger.info("listening", extra=fields(address=f"http://{host}:{port}"))

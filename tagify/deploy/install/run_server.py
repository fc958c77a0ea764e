"""Run an embedded server as a systemd service: sd_notify READY once its probe succeeds."""

import asyncio
import dataclasses
import os
import signal

from tagify.concurrency.tasks import run_until_first_ends
from tagify.runtime.sd_notify import SystemdNotifier
from tagify.servers.process import Process, Program

READY_TIMEOUT_S = 240.0
"""A mongod that was killed replays its journal first."""


def run_server(program: Program) -> int:
    """Run the program until SIGTERM (returns 0) or its exit (returns 1). Raises ProcessError."""
    return asyncio.run(_run_until_stopped(dataclasses.replace(program, ready_timeout_s=READY_TIMEOUT_S)))


async def _run_until_stopped(program: Program) -> int:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    notifier = SystemdNotifier.from_environ(os.environ)
    process = await Process.start(program)
    notifier.ready()
    try:
        await run_until_first_ends(stop.wait(), process.wait())
    finally:
        notifier.stopping()
        await process.stop()
    return 0 if stop.is_set() else 1

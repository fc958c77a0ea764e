"""Startup: notify systemd once all readiness checks pass."""

import asyncio
import logging
import time

from tagify.runtime.sd_notify import SystemdNotifier
from tagify.web import Readiness

logger = logging.getLogger(__name__)

POLL_S = 0.25
"""Time between two rounds of checks, in seconds."""

WARN_AFTER_S = 2.0
"""Failed checks are logged only when the start takes longer than this, in seconds."""

EXTENSION_S = 15.0
"""Each round extends systemd's start timeout to this much from now, in seconds: a service that waits for
its database is not killed. A blocked event loop does not extend the timeout, so it is."""


async def notify_when_ready(readiness: Readiness, notifier: SystemdNotifier) -> None:
    """Report the failed checks to systemd, and to the log when they change; return once ready."""
    logged, start = "", time.monotonic()
    while failures := await readiness.failure_summary():
        if failures != logged and time.monotonic() - start > WARN_AFTER_S:
            logger.warning("not ready yet: %s", failures)
            logged = failures
        notifier.not_ready(failures, EXTENSION_S)
        await asyncio.sleep(POLL_S)
    logger.info("ready")
    notifier.ready()

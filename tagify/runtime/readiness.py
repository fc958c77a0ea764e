"""Says that a service is ready once everything that it needs has answered."""

import asyncio
import logging
import time

from tagify.runtime.sd_notify import Notifier
from tagify.web import Readiness

logger = logging.getLogger(__name__)

ASK_S = 0.25
"""Time between two rounds of questions, in seconds."""

PATIENCE_S = 2.0
"""A start that takes no longer than this is worth no warning, in seconds."""

LONGER_S = 15.0
"""What each round adds to the time that systemd waits for a start, in seconds: a service whose
database is away is not killed for it. A loop that is stuck asks for nothing and is."""


async def announce(readiness: Readiness, notifier: Notifier) -> None:
    """Tell the notifier, and the log whenever the reason for the wait changes; return once ready."""
    told, start = "", time.monotonic()
    while reasons := await readiness.reasons():
        if reasons != told and time.monotonic() - start > PATIENCE_S:
            logger.warning("not ready yet: %s", reasons)
            told = reasons
        notifier.waiting(reasons, LONGER_S)
        await asyncio.sleep(ASK_S)
    logger.info("ready")
    notifier.ready()

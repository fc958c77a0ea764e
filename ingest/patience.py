"""Waiting for a server that is away: nothing is dropped, and it is said once."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tagify.errors import Busy, Unavailable
from tagify.logs import fields

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 15.0


async def patiently(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """The result of `call`, tried again for as long as a server is away.

    The waits double from a quarter of a second to 15 s, each with jitter, so that eight
    workers do not come back in step.
    """
    wait = FIRST_WAIT_S
    while True:
        try:
            result = await call()
        except (Unavailable, Busy) as error:
            if wait == FIRST_WAIT_S:
                logger.warning("waiting: %s", error, extra=fields(what=what))
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            wait = min(wait * 2, LONGEST_WAIT_S)
        else:
            if wait > FIRST_WAIT_S:
                logger.info("going on", extra=fields(what=what))
            return result

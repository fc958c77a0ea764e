"""Sweeps now and then, for as long as the daemon runs."""

import asyncio
import logging

from tagify.concurrency.retry import with_jitter
from tagify.errors import TagifyError
from tagify.gc import GarbageCollector
from tagify.logs import fields
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

FIRST_PASS_S = 300.0
"""The first pass comes this long after the start at the latest, in seconds."""

JITTER = 0.2
"""A wait is shortened by a random share of up to this much: daemons do not sweep in step."""


class GcLoop:
    """A loop around Sweep. A pass that fails is told and left to the next."""

    def __init__(self, sweep: GarbageCollector, metrics: Metrics, every_s: float) -> None:
        self._sweep = sweep
        self._every_s = every_s
        self._forgotten = metrics.counter(
            "ingest_forgotten_total", "Images forgotten, having been missing for long."
        )
        self._removed = metrics.counter("ingest_objects_removed_total", "Objects that nothing referred to.")

    async def run(self) -> None:
        """Until cancelled."""
        wait = min(FIRST_PASS_S, self._every_s)
        while True:
            await asyncio.sleep(with_jitter(wait, JITTER))
            await self._pass()
            wait = self._every_s

    async def _pass(self) -> None:
        try:
            swept = await self._sweep.run()
        except TagifyError as error:
            logger.warning("the sweep was broken off and goes on later: %s", error)
            return
        self._forgotten.add(swept.images_deleted)
        self._removed.add(swept.objects_deleted)
        if swept.images_deleted or swept.objects_deleted:
            logger.info("swept", extra=fields(forgotten=swept.images_deleted, removed=swept.objects_deleted))

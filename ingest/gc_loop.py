"""Runs garbage collection periodically."""

import asyncio
import logging

from tagify.concurrency.retry import with_jitter
from tagify.errors import TagifyError
from tagify.gc import GarbageCollector
from tagify.logs import fields
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

FIRST_PASS_S = 300.0
"""Longest time from the start to the first pass, in seconds."""

JITTER = 0.2
"""A wait is shortened by a random share of up to this much: daemons do not run their passes in step."""


class GcLoop:
    """Runs a GarbageCollector periodically. A failed pass is logged, and the next one continues it."""

    def __init__(self, collector: GarbageCollector, metrics: Metrics, interval_s: float) -> None:
        self._collector = collector
        self._interval_s = interval_s
        self._images_deleted = metrics.counter(
            "tagify_ingest_documents_removed_total",
            "Documents of missing images deleted.",
            old="ingest_forgotten_total",
        )
        self._objects_deleted = metrics.counter(
            "tagify_ingest_objects_removed_total",
            "Stored objects without an image deleted.",
            old="ingest_objects_removed_total",
        )

    async def run(self) -> None:
        """Run passes until cancelled."""
        wait_s = min(FIRST_PASS_S, self._interval_s)
        while True:
            await asyncio.sleep(with_jitter(wait_s, JITTER))
            await self._collect()
            wait_s = self._interval_s

    async def _collect(self) -> None:
        try:
            result = await self._collector.run()
        except TagifyError as error:
            logger.warning("garbage collection interrupted; the next pass continues: %s", error)
            return
        self._images_deleted.add(result.images_deleted)
        self._objects_deleted.add(result.objects_deleted)
        if result.images_deleted or result.objects_deleted:
            logger.info(
                "garbage collected",
                extra=fields(images=result.images_deleted, objects=result.objects_deleted),
            )

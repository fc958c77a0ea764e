"""Progress of a scan, written to the catalog twice a second while the scan runs."""

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from ingest.sync.change_applier import ChangeApplier
from tagify.catalog import LibraryStatusWriter
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.tasks import cancel_and_wait, run_to_completion
from tagify.errors import TagifyError

logger = logging.getLogger(__name__)

REPORT_S = 0.5
"""Time between two reports, in seconds."""


class ScanProgress:
    """One scan: use it with `async with`, and add to `scanned` for each file that was compared."""

    def __init__(self, status: LibraryStatusWriter, applier: ChangeApplier, total: int) -> None:
        self._status = status
        self._applier = applier
        self._total = total
        self._task: asyncio.Task[None] | None = None
        self.scanned = 0
        self.error = ""

    async def __aenter__(self) -> Self:
        await retry_while_unavailable("catalog", self._status.begin_scan)
        self._task = asyncio.create_task(self._report_repeatedly())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None  # noqa: S101 - set on entry
        await run_to_completion(cancel_and_wait(self._task))
        if kind is None:
            await self._report()
        reason = self.error or (str(error) if isinstance(error, TagifyError) else "")
        reason = reason or ("the scan was interrupted" if error else "")
        with suppress(TagifyError):
            await run_to_completion(self._status.end_scan(reason))

    async def _report_repeatedly(self) -> None:
        while True:
            try:
                with suppress(TagifyError):
                    await self._report()
            except Exception:
                logger.exception("scan progress not reported")
            await asyncio.sleep(REPORT_S)

    async def _report(self) -> None:
        done = max(0, self.scanned - self._applier.in_flight_count)
        await self._status.report_scan_progress(max(self._total, self.scanned), done)

"""How far a scan is, told to the catalog twice a second while it lasts."""

import asyncio
import logging
from contextlib import suppress
from types import TracebackType
from typing import Self

from ingest.sync.change_applier import ChangeApplier
from tagify.catalog import LibraryStatusWriter
from tagify.concurrency.retry import retry_while_unavailable
from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError

logger = logging.getLogger(__name__)

REPORT_S = 0.5


class Progress:
    """One scan: `async with` it, and count `passed` up for each file that was compared."""

    def __init__(self, keeping: LibraryStatusWriter, intake: ChangeApplier, total: int) -> None:
        self._keeping = keeping
        self._intake = intake
        self._total = total
        self._task: asyncio.Task[None] | None = None
        self.passed = 0
        self.error = ""

    async def __aenter__(self) -> Self:
        await retry_while_unavailable("catalog", self._keeping.begin_scan)
        self._task = asyncio.create_task(self._report())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None  # noqa: S101 - set on entry
        await cancel_and_wait(self._task)
        if kind is None:
            await self._tell()
        reason = self.error or (str(error) if isinstance(error, TagifyError) else "")
        reason = reason or ("the scan was broken off" if error else "")
        with suppress(TagifyError):
            await self._keeping.end_scan(reason)

    async def _report(self) -> None:
        while True:
            with suppress(TagifyError):
                await self._tell()
            await asyncio.sleep(REPORT_S)

    async def _tell(self) -> None:
        done = max(0, self.passed - self._intake.in_flight)
        await self._keeping.report_scan_progress(max(self._total, self.passed), done)

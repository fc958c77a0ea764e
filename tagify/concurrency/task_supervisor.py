"""Supervisor of a process's background tasks: none of them ends without a trace.

A task that fails is logged with its traceback and counted. It is restarted with exponential backoff where
that is safe; else the failure is fatal, and the process exits non-zero, so that systemd restarts it.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from tagify.concurrency.retry import Backoff
from tagify.errors import TagifyError
from tagify.logs import fields
from tagify.metrics import Metrics

logger = logging.getLogger(__name__)

RESTART = Backoff(first_s=1.0, longest_s=60.0)
"""Delays before a restart."""

HEALTHY_RUN_S = 60.0
"""A run this long resets the backoff, in seconds."""

TaskFactory = Callable[[], Coroutine[Any, Any, None]]
"""Creates the work of a task; called again for each restart."""


class BackgroundTaskFailed(TagifyError):
    """A background task failed that cannot be restarted. Its cause has been logged."""


class TaskSupervisor:
    """Runs background tasks. The caller of `supervise` cancels the task when it is no longer needed."""

    def __init__(self, metrics: Metrics) -> None:
        self._counter = metrics.counter(
            "tagify_background_task_failures_total",
            "Failures of background tasks, by task.",
            labelled=True,
            old="background_task_failures_total",
        )
        self._failed = asyncio.Event()
        self.failure: BackgroundTaskFailed | None = None
        """The first fatal failure."""

    def supervise(
        self, name: str, factory: TaskFactory, *, restart: bool, **log_fields: object
    ) -> asyncio.Task[None]:
        """Run the work that `factory` creates, until it returns or the task is cancelled.

        `restart`: after a failure `factory` is called again; else the failure is fatal. `name` is a label of
        the metric, so names come from a fixed set; `log_fields` say more, such as the library.
        """
        return asyncio.create_task(self._run(name, factory, restart, log_fields), name=name)

    async def wait_for_failure(self) -> NoReturn:
        """Wait until a task has failed that cannot be restarted. Raises BackgroundTaskFailed."""
        await self._failed.wait()
        raise self.failure or BackgroundTaskFailed("a background task failed")

    async def _run(
        self, name: str, factory: TaskFactory, restart: bool, log_fields: dict[str, object]
    ) -> None:
        failures = 0
        while True:
            started = time.monotonic()
            error = await _outcome(factory)
            if error is None or isinstance(error, BackgroundTaskFailed):
                return
            self._counter.add(task=name)
            if not restart:
                self._record_failure(name, error, log_fields)
                return
            failures = 1 if time.monotonic() - started >= HEALTHY_RUN_S else failures + 1
            delay_s = RESTART.delay(failures)
            logger.error(
                "background task failed; restarting it",
                exc_info=error,
                extra=fields(task=name, delay_s=round(delay_s, 1), **log_fields),
            )
            await asyncio.sleep(delay_s)

    def _record_failure(self, name: str, error: BaseException, log_fields: dict[str, object]) -> None:
        logger.error(
            "background task failed; the process cannot continue",
            exc_info=error,
            extra=fields(task=name, **log_fields),
        )
        if self.failure is None:
            self.failure = BackgroundTaskFailed(f"the task {name} failed: {type(error).__name__}: {error}")
            self._failed.set()


async def _outcome(factory: TaskFactory) -> BaseException | None:
    """The error of the work, or None. A cancellation from inside the work is an error too."""
    try:
        await factory()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return error
    except Exception as error:
        return error
    return None

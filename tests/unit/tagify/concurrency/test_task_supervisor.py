"""Background tasks: a failure is logged and counted, and the task is restarted or the failure is fatal."""

import asyncio

import pytest

from tagify.concurrency import task_supervisor
from tagify.concurrency.retry import Backoff
from tagify.concurrency.task_supervisor import BackgroundTaskFailed, TaskSupervisor
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics


@pytest.fixture(autouse=True)
def _fast_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_supervisor, "RESTART", Backoff(0.001, 0.01))


def failures(metrics: Metrics, task: str) -> float:
    prefix = f'background_task_failures_total{{task="{task}"}}'
    lines = metrics.exposition()[0].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(prefix))


async def test_a_task_is_restarted_until_it_succeeds(caplog: pytest.LogCaptureFixture) -> None:
    metrics, runs = Metrics(), 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs < 4:
            raise KeyError("x")

    async with asyncio.timeout(5):
        await TaskSupervisor(metrics).supervise("work", work, restart=True, library="Test")
    assert (runs, failures(metrics, "work")) == (4, 3)
    records = [record for record in caplog.records if record.message.startswith("background task failed")]
    assert len(records) == 3
    assert all(record.exc_info for record in records)
    assert records[0].__dict__["fields"]["library"] == "Test"


async def test_a_failure_without_restart_is_fatal(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    tasks = TaskSupervisor(metrics)

    async def work() -> None:
        raise KeyError("x")

    async def whole() -> None:
        inner = tasks.supervise("inner", work, restart=False)
        await inner
        await tasks.wait_for_failure()

    await tasks.supervise("outer", whole, restart=False)
    with pytest.raises(BackgroundTaskFailed, match="inner failed: KeyError"):
        await tasks.wait_for_failure()
    assert (failures(metrics, "inner"), failures(metrics, "outer")) == (1, 0)
    assert caplog.text.count("Traceback") == 1


async def test_a_cancellation_from_inside_is_a_failure_and_one_from_outside_an_end() -> None:
    metrics, started = Metrics(), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise asyncio.CancelledError
        started.set()
        await asyncio.sleep(60)

    task = TaskSupervisor(metrics).supervise("work", work, restart=True)
    async with asyncio.timeout(5):
        await started.wait()
    await cancel_and_wait(task)
    assert task.cancelled()
    assert (runs, failures(metrics, "work")) == (2, 1)


async def test_a_task_in_backoff_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_supervisor, "RESTART", Backoff(60, 60))

    async def work() -> None:
        raise KeyError("x")

    task = TaskSupervisor(Metrics()).supervise("work", work, restart=True)
    await asyncio.sleep(0.01)
    async with asyncio.timeout(1):
        await cancel_and_wait(task)

"""cancel_and_wait and run_to_completion."""

import asyncio

import pytest

from tagify.concurrency.tasks import cancel_and_wait, run_to_completion


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagify.concurrency.tasks.RECANCEL_S", 0.01)

    async def ignore_two_cancellations() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue
        await asyncio.Event().wait()

    task = asyncio.create_task(ignore_two_cancellations())
    await asyncio.sleep(0)
    await cancel_and_wait(task)
    assert task.cancelled()


async def test_tasks_that_have_ended_or_failed_are_no_error() -> None:
    async def fail() -> None:
        raise ValueError("no")

    failed, ended = asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))
    await asyncio.wait({failed, ended})
    await cancel_and_wait(failed, ended)
    await cancel_and_wait()


async def test_work_completes_before_a_cancellation_is_raised() -> None:
    go, done = asyncio.Event(), []

    async def work() -> None:
        await go.wait()
        done.append(True)

    task = asyncio.create_task(run_to_completion(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [True]


async def test_the_result_or_the_error_of_the_work_is_returned() -> None:
    async def answer() -> int:
        return 7

    async def fail() -> int:
        raise ValueError("no")

    assert await run_to_completion(answer()) == 7
    with pytest.raises(ValueError, match="no"):
        await run_to_completion(fail())

"""cancel_and_wait, run_until_first_ends and run_to_completion."""

import asyncio

import pytest

from tagify.concurrency.tasks import cancel_and_wait, run_to_completion, run_until_first_ends


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


class _Deaf:
    """Work that drops its first cancellation, as MongoDB's driver can."""

    def __init__(self) -> None:
        self.dropped = self.ended = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.dropped = True
        try:
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def _fail() -> None:
    raise ValueError("no")


async def test_work_that_drops_its_cancellation_ends_when_another_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagify.concurrency.tasks.RECANCEL_S", 0.01)
    first, second = _Deaf(), _Deaf()
    async with asyncio.timeout(5):
        await run_until_first_ends(first.run(), asyncio.sleep(0, "done"))
        with pytest.raises(ValueError, match="no"):
            await run_until_first_ends(_fail(), second.run())
    for work in (first, second):
        assert work.dropped
        assert work.ended


async def test_work_that_drops_its_cancellation_ends_when_the_caller_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tagify.concurrency.tasks.RECANCEL_S", 0.01)
    deaf = _Deaf()
    caller = asyncio.create_task(run_until_first_ends(deaf.run(), asyncio.Event().wait()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await cancel_and_wait(caller)
    assert caller.cancelled()
    assert deaf.dropped
    assert deaf.ended


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

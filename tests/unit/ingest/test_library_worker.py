"""The tasks of one library end together, and for certain."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ingest.library_worker import LibraryWorker
from ingest.sync.pending_moves import LibraryMoves
from ingest.watch.debounce import Debouncer


class FakePart:
    """A part of the worker: its tasks wait until cancelled; a deaf one drops the first cancellation."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf
        self.ends = 0

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self.deaf:
                raise
        finally:
            self.ends += 1
        await asyncio.Event().wait()

    poll = run

    async def check(self) -> None:
        """The root is intact."""

    async def close(self) -> None:
        self.ends += 1


@pytest.mark.parametrize("deaf", ["root_watch", "scanner", "follower", "applier"])
async def test_a_task_that_drops_its_cancellation_does_not_hold_up_the_end(
    deaf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagify.concurrency.tasks.RECANCEL_S", 0.01)

    async def fence_older_leases() -> None:
        """The lease is ours."""

    status = SimpleNamespace(fence_older_leases=fence_older_leases)
    record = SimpleNamespace(scan_requests=SimpleNamespace(request=lambda: None), status=status)
    parts = {name: FakePart(deaf=name == deaf) for name in ("root_watch", "scanner", "follower", "applier")}
    moves = LibraryMoves("/nowhere", Debouncer(1), cast("Any", None))
    worker = LibraryWorker(cast("Any", record), moves=moves, **cast("dict[str, Any]", parts))
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.01)
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({running})
    assert running.cancelled()
    assert {name: part.ends for name, part in parts.items()} == {
        "root_watch": 2,
        "scanner": 2,
        "follower": 1,
        "applier": 1,
    }

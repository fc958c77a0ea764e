"""Two moves of one image that are written in an order other than that of their events."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from ingest.sync.change_applier import ChangeApplier
from ingest.sync.walk import stat_file
from ingest.watch.event_buffer import EventBuffer
from tagify.catalog import MoveImage
from tagify.model import FileFacts
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)


def on_disk(root: Path, name: str) -> FileFacts:
    file = stat_file(str(root), name)
    assert file is not None
    return file


@pytest.mark.parametrize("moved_on", [True, False], ids=["of one that moved on", "after a late one"])
async def test_the_catalog_ends_with_the_path_of_the_file(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch, moved_on: bool
) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg(40, 30))
    begun, written = asyncio.Event(), asyncio.Event()
    write_moves, drain = ChangeApplier._write_moves, EventBuffer.drain

    async def write_late(applier: ChangeApplier, moves: Sequence[MoveImage]) -> None:
        if begun.is_set():
            await write_moves(applier, moves)
            return
        begun.set()
        file = moves[0].file
        if moved_on:
            (harness.root / "b.jpg").rename(harness.root / "c.jpg")
            file = on_disk(harness.root, "c.jpg")
        else:
            file = FileFacts("late.jpg", file.size, file.mtime_ns, file.inode)
        # The other of the two tasks of a library, scanner and event follower, writes its move here.
        await harness.catalog.images.write([MoveImage(moves[0].entry, harness.library.id, file)])
        await write_moves(applier, moves)
        written.set()

    monkeypatch.setattr(ChangeApplier, "_write_moves", write_late)
    # The events of the second move were processed before.
    monkeypatch.setattr(EventBuffer, "drain", lambda buffer: ([], False) if begun.is_set() else drain(buffer))
    async with harness.running_ingest():
        before = (await harness.wait_for_images("a.jpg"))["a.jpg"]
        (harness.root / "a.jpg").rename(harness.root / "b.jpg")
        async with asyncio.timeout(20):
            await written.wait()
        after = await harness.wait_for_images("c.jpg" if moved_on else "b.jpg")
    assert {image.id for image in after.values()} == {before.id}

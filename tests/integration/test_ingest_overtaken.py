"""A move that is written after another one of the same image, which was seen later or earlier."""

from pathlib import Path
from typing import Any

import pytest

from ingest.intake import Intake
from ingest.walk import facts_at
from ingest.watcher.inbox import Inbox
from tagify.catalog import Move
from tagify.model import FileFacts
from tests.support import pictures
from tests.support.house import House
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)


def on_disk(root: Path, name: str) -> FileFacts:
    found = facts_at(str(root), name)
    assert found is not None
    return found


@pytest.mark.parametrize("moved_on", [True, False], ids=["of one that moved on", "after a late one"])
async def test_the_catalog_ends_where_the_file_is(
    house: House, monkeypatch: pytest.MonkeyPatch, moved_on: bool
) -> None:
    (house.root / "a.jpg").write_bytes(pictures.jpeg(40, 30))
    overtaken: list[str] = []
    look, take = Intake._moves, Inbox.take

    async def overtaking(intake: Intake, files: dict[str, FileFacts]) -> Any:
        moves = await look(intake, files)
        if moves and not overtaken:
            file = moves[0].file
            if moved_on:
                (house.root / "b.jpg").rename(house.root / "c.jpg")
                file = on_disk(house.root, "c.jpg")
            else:
                file = FileFacts("late.jpg", file.size, file.mtime_ns, file.inode)
            # What the other of the two tasks of a library does, which both look and write.
            await house.catalog.images.write([Move(moves[0].entry, house.library.id, file)])
            overtaken.append(file.path)
        return moves

    monkeypatch.setattr(Intake, "_moves", overtaking)
    # The events of the second move have been dealt with by then.
    monkeypatch.setattr(Inbox, "take", lambda inbox: ([], False) if overtaken else take(inbox))
    async with house.daemon():
        before = (await house.holds("a.jpg"))["a.jpg"]
        (house.root / "a.jpg").rename(house.root / "b.jpg")
        await until(lambda: _true(overtaken))
        after = await house.holds("c.jpg" if moved_on else "b.jpg")
    assert {image.id for image in after.values()} == {before.id}


async def _true(value: object) -> bool:
    return bool(value)

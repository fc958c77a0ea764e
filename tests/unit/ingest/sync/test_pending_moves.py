"""Moves that are being looked for, and files whose events are not reconciled."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.library_threads import LibraryThreads
from ingest.sync.pending_moves import PATHS_LIMIT, LibraryMoves, PendingMoves
from ingest.sync.walk import stat_file
from ingest.watch.debounce import Debouncer, EventKind, PathEvent
from tagify.model import CatalogEntry, ImageId, ImageState, LibraryId


class Fixture:
    """One library with an image whose file has left its path."""

    def __init__(self, root: Path, threads: LibraryThreads) -> None:
        self.root = root
        self.debouncer = Debouncer(1)
        self.moves = LibraryMoves(str(root), self.debouncer, threads)
        self.pending = PendingMoves()
        self.pending.add(self.moves)
        file = root / "trip" / "a.jpg"
        file.parent.mkdir()
        file.write_bytes(b"a")
        facts = stat_file(str(root), "trip/a.jpg")
        assert facts is not None
        self.entry = CatalogEntry(ImageId("1" * 24), LibraryId("2" * 24), facts, ImageState.READY)

    def event_at(self, path: str) -> None:
        self.debouncer.add(PathEvent(path, EventKind.CLOSED), 0)

    async def of_the_image(self) -> asyncio.Future[None] | None:
        return await self.pending.of([self.entry])


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Fixture]:
    threads = LibraryThreads(str(tmp_path), 10)
    yield Fixture(tmp_path, threads)
    await threads.close()


async def test_a_scan_that_is_about_to_start_and_a_search_may_find_any_file(library: Fixture) -> None:
    assert await library.of_the_image() is None
    library.moves.start()
    written = await library.of_the_image()
    assert written
    with library.moves.search(scan=True), library.moves.search():
        pass
    assert written.done()
    assert await library.of_the_image() is None
    with library.moves.search():
        assert await library.of_the_image()


@pytest.mark.parametrize("end", [LibraryMoves.cancel_scan, LibraryMoves.stop])
async def test_a_scan_that_is_not_made_keeps_no_file_waiting(library: Fixture, end: object) -> None:
    library.moves.start()
    written = await library.of_the_image()
    assert callable(end)
    end(library.moves)
    assert written
    assert written.done()


@pytest.mark.parametrize("target", ["b.jpg", "journey", "deep/er"])
async def test_an_event_at_the_new_path_of_the_file_or_its_folder(library: Fixture, target: str) -> None:
    library.moves.start()
    library.moves.cancel_scan()
    new = library.root / target
    new.parent.mkdir(exist_ok=True)
    (library.root / "trip" / ("a.jpg" if target.endswith(".jpg") else "")).rename(new)
    library.event_at("elsewhere.jpg")
    assert await library.of_the_image() is None
    library.event_at(target)
    written = await library.of_the_image()
    assert written
    library.debouncer.pop_quiet(9)
    with library.moves.search():
        assert not written.done()
    assert written.done()


async def test_events_of_many_files_or_of_a_stopped_library_keep_no_file_waiting(library: Fixture) -> None:
    (library.root / "trip" / "a.jpg").rename(library.root / "b.jpg")
    library.event_at("b.jpg")
    assert await library.of_the_image() is None
    library.moves.start()
    library.moves.cancel_scan()
    assert await library.of_the_image()
    library.debouncer.clear()
    for number in range(PATHS_LIMIT):
        library.event_at(f"{number}.jpg")
    library.event_at("b.jpg")
    assert await library.of_the_image() is None

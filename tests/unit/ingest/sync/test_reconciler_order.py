"""Order of a reconcile: all moves are written before any other file is imported."""

from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.paths import Exclusions
from ingest.sync import reconciler as module
from ingest.sync.diff import Added
from ingest.sync.pending_moves import LibraryMoves
from ingest.sync.reconciler import Reconciler
from ingest.sync.walk import WalkItem
from ingest.watch.debounce import Debouncer
from tagify.model import CatalogEntry, FileFacts, ImageId, ImageState, LibraryId

LIBRARY = LibraryId("1" * 24)


class Applier:
    """Writes moves of files whose inode is in the catalog; records what is imported, and when."""

    def __init__(self, entries: list[CatalogEntry]) -> None:
        self.entries = {entry.file.inode: entry for entry in entries}
        self.moved: set[str] = set()
        self.imported: list[str] = []
        self.moved_after_import: list[str] = []

    async def write_moves(self, added: Sequence[Added]) -> list[Added]:
        others = []
        for item in added:
            entry = self.entries.get(item.file.inode)
            if entry is None:
                others.append(item)
            elif item.file.path not in self.moved:
                self.moved.add(item.file.path)
                if self.imported:
                    self.moved_after_import.append(item.file.path)
        return others

    async def apply_added(self, added: Sequence[Added], *, live: bool) -> None:
        self.imported += [item.file.path for item in await self.write_moves(added)]

    async def confirm_missing(self, entries: Sequence[CatalogEntry]) -> list[CatalogEntry]:
        return []

    def defer_if_in_flight(self, path: str) -> bool:
        return False


class InMemory(Reconciler):
    """A reconciler of a disk and a catalog in memory."""

    def __init__(self, files: dict[str, FileFacts], entries: list[CatalogEntry], applier: Applier) -> None:
        record = SimpleNamespace(id=LIBRARY, root="/nowhere")
        super().__init__(
            cast("Any", record),
            cast("Any", None),
            catalog=cast("Any", None),
            threads=cast("Any", None),
            exclusions=Exclusions([]),
            applier=cast("Any", applier),
            moves=LibraryMoves("/nowhere", Debouncer(1), cast("Any", None)),
        )
        self.files, self.entries = files, entries

    async def _disk(self, folder: str) -> AsyncIterator[WalkItem]:
        for path in sorted(self.files):
            if not folder or path.startswith(folder + "/"):
                yield self.files[path]

    async def _entries_below(self, folder: str) -> AsyncIterator[CatalogEntry]:
        for entry in sorted(self.entries, key=lambda entry: entry.file.path):
            if not folder or entry.file.path.startswith(folder + "/"):
                yield entry


folders = st.sampled_from("abmyz")


@pytest.mark.parametrize("held_limit", [10, 5000])
@settings(max_examples=15, deadline=None)
@given(
    number=st.integers(1, 3000),
    source=folders,
    target=folders,
    copies=st.lists(st.tuples(folders, st.integers(0, 2999)), max_size=20),
)
async def test_moves_are_written_before_copies_are_imported(
    held_limit: int, number: int, source: str, target: str, copies: list[tuple[str, int]]
) -> None:
    before = {f"{source}/{index:05}.jpg": index + 1 for index in range(number)}
    entries = [
        CatalogEntry(ImageId(f"{inode:024x}"), LIBRARY, FileFacts(path, 0, inode, inode), ImageState.READY)
        for path, inode in before.items()
    ]
    files = {}
    for path, inode in before.items():
        moved = path.replace(f"{source}/", f"{target}{target}/")
        files[moved] = FileFacts(moved, 0, inode, inode)
    for order, (folder, index) in enumerate(copies):
        path = f"{folder}/copy-{order}-of-{index}.jpg"
        files[path] = FileFacts(path, 0, index, 10_000 + order)
    applier = Applier(entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "HELD_LIMIT", held_limit)
        assert await InMemory(files, entries, applier).reconcile_folder("")
    assert applier.moved_after_import == []
    assert len(applier.moved) == number
    assert sorted(applier.imported) == sorted(path for path in files if "copy" in path)

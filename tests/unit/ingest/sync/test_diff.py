"""The merge join of folder and catalog."""

import asyncio
import time
from collections.abc import AsyncIterator

from hypothesis import given
from hypothesis import strategies as st

from ingest.sync.diff import Added, Removed, Unchanged, diff
from ingest.sync.walk import Unreadable, WalkItem
from tagify.model import CatalogEntry, FileFacts, ImageId, ImageState, LibraryId

PATHS = st.lists(st.sampled_from(["a.jpg", "b.jpg", "c/d.jpg", "c/e.jpg", "f.jpg"]), unique=True).map(sorted)


def entry(path: str, size: int) -> CatalogEntry:
    return CatalogEntry(ImageId("0" * 24), LibraryId("0" * 24), FileFacts(path, size, 0, 0), ImageState.READY)


async def stream(items: list[WalkItem]) -> AsyncIterator[WalkItem]:
    for item in items:
        yield item


async def entries(items: list[CatalogEntry]) -> AsyncIterator[CatalogEntry]:
    for item in items:
        yield item


@given(PATHS, PATHS, st.sets(st.sampled_from(["a.jpg", "c/d.jpg"])))
def test_the_diff_has_all_differences(disk: list[str], catalog: list[str], changed: set[str]) -> None:
    async def collect() -> list[object]:
        files = stream([FileFacts(path, 2 if path in changed else 1, 0, 0) for path in disk])
        return [item async for item in diff(files, entries([entry(path, 1) for path in catalog]))]

    differences = asyncio.run(collect())
    added = {item.file.path for item in differences if isinstance(item, Added)}
    removed = {item.entry.file.path for item in differences if isinstance(item, Removed)}
    unchanged = {item.path for item in differences if isinstance(item, Unchanged)}
    assert removed == set(catalog) - set(disk)
    assert added == (set(disk) - set(catalog)) | (set(disk) & set(catalog) & changed)
    assert unchanged == (set(disk) & set(catalog)) - changed


async def test_nothing_is_removed_below_an_unreadable_folder() -> None:
    differences = [
        item
        async for item in diff(
            stream([Unreadable("c", "EIO")]), entries([entry("a.jpg", 1), entry("c/d.jpg", 1)])
        )
    ]
    assert [item.entry.file.path for item in differences if isinstance(item, Removed)] == ["a.jpg"]


NAMES = ["a-1.jpg", "a-2.jpg", "a/b.jpg", "a/c/d.jpg", "a/c-1.jpg", "a0.jpg", "e.jpg"]


@given(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from([*NAMES, "a", "a/c"])))
def test_entries_at_or_below_any_unreadable_path_are_kept(files: set[str], unreadable: set[str]) -> None:
    def is_covered(path: str) -> bool:
        return any(path == other or path.startswith(f"{other}/") for other in unreadable)

    items: list[WalkItem] = [FileFacts(path, 1, 0, 0) for path in files if not is_covered(path)]
    topmost = [path for path in unreadable if not any(path.startswith(f"{other}/") for other in unreadable)]
    items += [Unreadable(path, "EIO", is_folder=not path.endswith(".jpg")) for path in topmost]
    items.sort(key=lambda item: f"{item.path}/" if not item.path.endswith(".jpg") else item.path)
    catalog = [entry(path, 1) for path in sorted(NAMES)]

    async def collect() -> list[object]:
        return [item async for item in diff(stream(items), entries(catalog))]

    removed = {item.entry.file.path for item in asyncio.run(collect()) if isinstance(item, Removed)}
    assert removed == {path for path in NAMES if path not in files and not is_covered(path)}


async def test_a_hundred_thousand_unreadable_files_are_compared_at_once() -> None:
    count = 100_000
    disk: list[WalkItem] = [Unreadable(f"{number:06}.jpg", "EIO") for number in range(count)]
    catalog = [entry(f"{number:06}.jpg", 1) for number in range(count + 2000)]
    started = time.process_time()
    removed = [item async for item in diff(stream(disk), entries(catalog)) if isinstance(item, Removed)]
    assert len(removed) == 2000
    assert time.process_time() - started < 10

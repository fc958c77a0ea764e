"""A moved file keeps its image's id and tags, and is not uploaded again."""

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ingest.sync.deletion_guard import ALWAYS_ALLOWED
from tagify.storage.store import ObjectStore
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.libraries import Identity, identities, second_library, tag_each, wait_for_identities
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)


@pytest.fixture
def uploads(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts uploads to the store."""
    counts: Counter[str] = Counter()
    for name in ("upload", "upload_stream"):
        original = getattr(ObjectStore, name)

        def counted(blobs: ObjectStore, *arguments: Any, _original: Any = original, _name: str = name) -> Any:
            counts[_name] += 1
            return _original(blobs, *arguments)

        monkeypatch.setattr(ObjectStore, name, counted)
    yield counts


def moved(images: Identity, source: str, target: str) -> Identity:
    return {
        target + path.removeprefix(source) if path.startswith(source) else path: image
        for path, image in images.items()
    }


@pytest.mark.parametrize("offline", [False, True])
async def test_files_that_move_between_libraries_keep_their_images(
    harness: IngestHarness, tmp_path: Path, uploads: Counter[str], offline: bool
) -> None:
    second = await second_library(harness, tmp_path)
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(16, 12, seed=99))
    (harness.root / "trip").mkdir()
    for number in range(5):
        (harness.root / "trip" / f"{number}.jpg").write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest():
        await harness.wait_for_images("keep.jpg", *(f"trip/{number}.jpg" for number in range(5)))
        await second.wait_for_images("resident.jpg")
        here = await tag_each(harness, identities(harness, harness.library))
        there = identities(harness, second.library)
        before = Counter(uploads)
        if not offline:
            (harness.root / "trip").rename(second.root / "journey")
            await wait_for_identities(
                second,
                there
                | {
                    path: image
                    for path, image in moved(here, "trip/", "journey/").items()
                    if path != "keep.jpg"
                },
            )
    if offline:
        (harness.root / "trip").rename(second.root / "journey")
    async with harness.running_ingest():
        await wait_for_identities(
            second,
            there
            | {path: image for path, image in moved(here, "trip/", "journey/").items() if path != "keep.jpg"},
        )
        await wait_for_identities(harness, {"keep.jpg": here["keep.jpg"]})
    assert uploads == before


async def test_offline_moves_are_detected_by_content(harness: IngestHarness, uploads: Counter[str]) -> None:
    """As after a restore or a move to another disk: other inodes and times, the same bytes."""
    names = [f"{number:03}.jpg" for number in range(ALWAYS_ALLOWED + 20)]
    (harness.root / "old").mkdir()
    for number, name in enumerate(names):
        (harness.root / "old" / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest():
        await harness.wait_for_images(*(f"old/{name}" for name in names))
        known = await tag_each(harness, identities(harness, harness.library))
    before = Counter(uploads)
    (harness.root / "new").mkdir()
    for name in names:
        shutil.copyfile(harness.root / "old" / name, harness.root / "new" / name)
    shutil.rmtree(harness.root / "old")
    async with harness.running_ingest():
        await wait_for_identities(harness, moved(known, "old/", "new/"))
        assert (await harness.load_library()).pending_deletions == 0
    assert uploads == before


@pytest.mark.parametrize(
    ("held_limit", "count"), [(40, 200), pytest.param(5000, 700, marks=pytest.mark.slow)]
)
async def test_a_copy_does_not_take_the_id_of_a_moved_original(
    harness: IngestHarness,
    uploads: Counter[str],
    monkeypatch: pytest.MonkeyPatch,
    held_limit: int,
    count: int,
) -> None:
    """Reorganised while stopped: the copy sorts before the files that moved with their folder."""
    monkeypatch.setattr("ingest.sync.reconciler.HELD_LIMIT", held_limit)
    data = pictures.jpeg(16, 12)
    (harness.root / "z").mkdir()
    for number in range(count):
        (harness.root / "z" / f"{number:03}.jpg").write_bytes(data + number.to_bytes(2, "big"))
    async with harness.running_ingest(scanned=False):
        await until(harness.is_scanned, timeout_s=120)
        known = await tag_each(harness, identities(harness, harness.library))
    (harness.root / "z").rename(harness.root / "zz")
    (harness.root / "a").mkdir()
    shutil.copyfile(harness.root / "zz" / f"{count - 50:03}.jpg", harness.root / "a" / "copy.jpg")
    async with harness.running_ingest(scanned=False):

        async def is_copied() -> bool:
            return "a/copy.jpg" in identities(harness, harness.library)

        await until(is_copied, timeout_s=60)
        after = identities(harness, harness.library)
        copy = after.pop("a/copy.jpg")
        assert copy[1] == ()
        assert after == moved(known, "z/", "zz/")


async def test_a_storm_of_renames_and_deletions_needs_no_approval(harness: IngestHarness) -> None:
    """300 operations within seconds in a library of 100: many renames, few deletions."""
    random = Random(11)
    for number in range(100):
        (harness.root / f"{number:03}.jpg").write_bytes(pictures.jpeg(32, 24, seed=number))
    paths = [f"{number:03}.jpg" for number in range(100)]
    async with harness.running_ingest():
        await harness.wait_for_images(*paths)
        for step in range(300):
            index = random.randrange(len(paths))
            if step % 20 == 7:
                (harness.root / paths.pop(index)).unlink()
            else:
                folder = harness.root / f"{random.randrange(5)}"
                folder.mkdir(exist_ok=True)
                target = f"{folder.name}/{step}.jpg"
                (harness.root / paths[index]).rename(harness.root / target)
                paths[index] = target
            await asyncio.sleep(0.01)

        async def is_equal() -> bool:
            return (await harness.images_by_path()).keys() == set(paths)

        await until(is_equal, timeout_s=40)
        await until(lambda: no_deletion_is_pending(harness), timeout_s=40)


async def test_renames_that_change_the_case_only(harness: IngestHarness, uploads: Counter[str]) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg(seed=1))
    (harness.root / "folder").mkdir()
    (harness.root / "folder" / "b.jpg").write_bytes(pictures.jpeg(seed=2))
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg", "folder/b.jpg")
        known = await tag_each(harness, identities(harness, harness.library))
        before = Counter(uploads)
        (harness.root / "a.jpg").rename(harness.root / "A.JPG")
        (harness.root / "folder").rename(harness.root / "Folder")
        await wait_for_identities(harness, {"A.JPG": known["a.jpg"], "Folder/b.jpg": known["folder/b.jpg"]})
    assert uploads == before


async def test_a_renamed_folder_needs_no_approval(
    harness: IngestHarness, uploads: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"{number:03}.jpg" for number in range(ALWAYS_ALLOWED + 20)]
    (harness.root / "old").mkdir()
    for number, name in enumerate(names):
        (harness.root / "old" / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest():
        await harness.wait_for_images(*(f"old/{name}" for name in names))
        known = await tag_each(harness, identities(harness, harness.library))
        before = Counter(uploads)
        for source, target in (("old", "young"), ("young", "elder")):
            (harness.root / source).rename(harness.root / target)
            known = moved(known, f"{source}/", f"{target}/")
            await wait_for_identities(harness, known)
    assert uploads == before
    assert "mass deletion held" not in caplog.text


@pytest.mark.slow
async def test_a_folder_of_ten_thousand_files_is_moved_without_an_upload(
    harness: IngestHarness, tmp_path: Path, uploads: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.sync.scanner.RECHECK_S", 3)
    harness.settings = harness.settings.model_copy(update={"ingest_workers": 8})
    second = await second_library(harness, tmp_path)
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(16, 12, seed=1 << 21))
    data = pictures.jpeg(32, 24)
    for number in range(10_000):
        file = harness.root / "trip" / f"{number // 100:03}" / f"{number:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        # 50 contents: the files are distinguished by path and inode.
        file.write_bytes(data + bytes((number % 50,)))
    async with harness.running_ingest(scanned=False):

        async def all_in() -> bool:
            return (await harness.load_library()).indexed_count == 10_001

        await until(all_in, timeout_s=900, every_s=0.5)
        await until(harness.is_scanned, timeout_s=180)
        await second.wait_for_images("resident.jpg")
        ids = [name for name, _ in identities(harness, harness.library).values()]
        for start in range(0, len(ids), 1000):
            await harness.catalog.tags.change(ids[start : start + 1000], ["kept"], [])  # type: ignore[arg-type]
        known = identities(harness, harness.library)
        resident = identities(harness, second.library)
        before = Counter(uploads)
        (harness.root / "trip").rename(harness.root / "a-trip")
        known = moved(known, "trip/", "a-trip/")
        await wait_for_identities(harness, known, timeout_s=300)
        (harness.root / "a-trip").rename(second.root / "trip")
        there = moved(
            {path: image for path, image in known.items() if path != "keep.jpg"}, "a-trip/", "trip/"
        )
        await wait_for_identities(second, resident | there, timeout_s=300)
        await wait_for_identities(harness, {"keep.jpg": known["keep.jpg"]}, timeout_s=180)
    (second.root / "trip").rename(harness.root / "back")
    async with harness.running_ingest(scanned=False):
        home = moved(there, "trip/", "back/")
        await wait_for_identities(harness, {"keep.jpg": known["keep.jpg"]} | home, timeout_s=300)
        await wait_for_identities(second, resident, timeout_s=180)
        # One library may report the files as deleted before the other one imports them.
        await until(lambda: no_deletion_is_pending(harness, second), timeout_s=180)
    assert uploads == before
    assert [(count.name, count.count) for count in await harness.catalog.tags.most_used(limit=5)] == [
        ("kept", 10_001)
    ]


async def no_deletion_is_pending(*harnesses: IngestHarness) -> bool:
    return not any([(await harness.load_library()).pending_deletions for harness in harnesses])

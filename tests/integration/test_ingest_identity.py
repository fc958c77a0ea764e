"""An image is its file, wherever that goes: what moves keeps its id and its tags, and is not sent again."""

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from ingest.sync.deletion_guard import FEW
from tagify.model import Library
from tagify.storage.store import ObjectStore
from tests.support import pictures
from tests.support.ingest_harness import House
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

Identity = dict[str, tuple[str, tuple[str, ...]]]
"""The id and the tags of the image at each path."""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts what goes up to the store."""
    counts: Counter[str] = Counter()
    for name in ("put", "put_stream"):
        original = getattr(ObjectStore, name)

        def counted(blobs: ObjectStore, *arguments: Any, _original: Any = original, _name: str = name) -> Any:
            counts[_name] += 1
            return _original(blobs, *arguments)

        monkeypatch.setattr(ObjectStore, name, counted)
    yield counts


async def second_library(house: House, tmp_path: Path) -> House:
    root = tmp_path / "second"
    root.mkdir()
    (root / "resident.jpg").write_bytes(pictures.jpeg(16, 12, seed=1 << 20))
    library = await house.catalog.libraries.create("Second", str(root))
    return House(root, house.catalog, library, house.settings)


def identities(house: House, library: Library) -> Identity:
    with MongoClient[dict[str, Any]](house.settings.mongo_uri.get_secret_value()) as client:
        images = client[house.settings.mongo_database].images
        fields = {"path": 1, "tags": 1, "library_id": 1}
        return {
            doc["path"]: (str(doc["_id"]), tuple(doc["tags"]))
            for doc in images.find({"state": "ready"}, fields)
            if str(doc["library_id"]) == library.id
        }


async def tag_each(house: House, images: Identity) -> Identity:
    for path, (name, _) in images.items():
        await house.catalog.tags.change([name], [f"of {path}"], [])  # type: ignore[list-item]
    return {path: (name, (*tags, f"of {path}")) for path, (name, tags) in images.items()}


async def comes_to_be(house: House, expected: Identity, timeout_s: float = 30) -> None:
    async def probe() -> bool:
        return identities(house, house.library) == expected

    await until(probe, timeout_s=timeout_s, every_s=0.1 if len(expected) < 1000 else 1)


def moved(images: Identity, source: str, target: str) -> Identity:
    return {
        target + path.removeprefix(source) if path.startswith(source) else path: image
        for path, image in images.items()
    }


@pytest.mark.parametrize("offline", [False, True])
async def test_files_that_move_between_libraries(
    house: House, tmp_path: Path, sent: Counter[str], offline: bool
) -> None:
    second = await second_library(house, tmp_path)
    (house.root / "keep.jpg").write_bytes(pictures.jpeg(16, 12, seed=99))
    (house.root / "trip").mkdir()
    for number in range(5):
        (house.root / "trip" / f"{number}.jpg").write_bytes(pictures.jpeg(32, 24, seed=number))
    async with house.daemon():
        await house.holds("keep.jpg", *(f"trip/{number}.jpg" for number in range(5)))
        await second.holds("resident.jpg")
        here = await tag_each(house, identities(house, house.library))
        there = identities(house, second.library)
        before = Counter(sent)
        if not offline:
            (house.root / "trip").rename(second.root / "journey")
            await comes_to_be(
                second,
                there
                | {
                    path: image
                    for path, image in moved(here, "trip/", "journey/").items()
                    if path != "keep.jpg"
                },
            )
    if offline:
        (house.root / "trip").rename(second.root / "journey")
    async with house.daemon():
        await comes_to_be(
            second,
            there
            | {path: image for path, image in moved(here, "trip/", "journey/").items() if path != "keep.jpg"},
        )
        await comes_to_be(house, {"keep.jpg": here["keep.jpg"]})
    assert sent == before


async def test_offline_moves_are_found_by_content(house: House, sent: Counter[str]) -> None:
    """As after a restore, or a move to another disk: other inodes and times, the same bytes."""
    names = [f"{number:03}.jpg" for number in range(FEW + 20)]
    (house.root / "old").mkdir()
    for number, name in enumerate(names):
        (house.root / "old" / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with house.daemon():
        await house.holds(*(f"old/{name}" for name in names))
        known = await tag_each(house, identities(house, house.library))
    before = Counter(sent)
    (house.root / "new").mkdir()
    for name in names:
        shutil.copyfile(house.root / "old" / name, house.root / "new" / name)
    shutil.rmtree(house.root / "old")
    async with house.daemon():
        await comes_to_be(house, moved(known, "old/", "new/"))
        assert (await house.state()).removal_waiting == 0
    assert sent == before


async def test_names_that_change_in_case_only(house: House, sent: Counter[str]) -> None:
    (house.root / "a.jpg").write_bytes(pictures.jpeg(seed=1))
    (house.root / "folder").mkdir()
    (house.root / "folder" / "b.jpg").write_bytes(pictures.jpeg(seed=2))
    async with house.daemon():
        await house.holds("a.jpg", "folder/b.jpg")
        known = await tag_each(house, identities(house, house.library))
        before = Counter(sent)
        (house.root / "a.jpg").rename(house.root / "A.JPG")
        (house.root / "folder").rename(house.root / "Folder")
        await comes_to_be(house, {"A.JPG": known["a.jpg"], "Folder/b.jpg": known["folder/b.jpg"]})
    assert sent == before


async def test_a_folder_that_is_renamed_never_waits_for_approval(
    house: House, sent: Counter[str], caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"{number:03}.jpg" for number in range(FEW + 20)]
    (house.root / "old").mkdir()
    for number, name in enumerate(names):
        (house.root / "old" / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with house.daemon():
        await house.holds(*(f"old/{name}" for name in names))
        known = await tag_each(house, identities(house, house.library))
        before = Counter(sent)
        for source, target in (("old", "young"), ("young", "elder")):
            (house.root / source).rename(house.root / target)
            known = moved(known, f"{source}/", f"{target}/")
            await comes_to_be(house, known)
    assert sent == before
    assert "more files have gone than usual" not in caplog.text


@pytest.mark.slow
async def test_a_folder_of_ten_thousand_files_goes_everywhere_and_is_never_sent_again(
    house: House, tmp_path: Path, sent: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.library_worker.RECHECK_S", 3)
    house.settings = house.settings.model_copy(update={"ingest_workers": 8})
    second = await second_library(house, tmp_path)
    (house.root / "keep.jpg").write_bytes(pictures.jpeg(16, 12, seed=1 << 21))
    data = pictures.jpeg(32, 24)
    for number in range(10_000):
        place = house.root / "trip" / f"{number // 100:03}" / f"{number:05}.jpg"
        place.parent.mkdir(parents=True, exist_ok=True)
        # 50 contents: it is by their places and inodes that these are told apart.
        place.write_bytes(data + bytes((number % 50,)))
    async with house.daemon(scanned=False):

        async def all_in() -> bool:
            return (await house.state()).indexed_count == 10_001

        await until(all_in, timeout_s=900, every_s=0.5)
        await until(house.scanned, timeout_s=180)
        await second.holds("resident.jpg")
        ids = [name for name, _ in identities(house, house.library).values()]
        for start in range(0, len(ids), 1000):
            await house.catalog.tags.change(ids[start : start + 1000], ["kept"], [])  # type: ignore[arg-type]
        known = identities(house, house.library)
        resident = identities(house, second.library)
        before = Counter(sent)
        (house.root / "trip").rename(house.root / "a-trip")
        known = moved(known, "trip/", "a-trip/")
        await comes_to_be(house, known, timeout_s=300)
        (house.root / "a-trip").rename(second.root / "trip")
        there = moved(
            {path: image for path, image in known.items() if path != "keep.jpg"}, "a-trip/", "trip/"
        )
        await comes_to_be(second, resident | there, timeout_s=300)
        await comes_to_be(house, {"keep.jpg": known["keep.jpg"]}, timeout_s=180)
    (second.root / "trip").rename(house.root / "back")
    async with house.daemon(scanned=False):
        home = moved(there, "trip/", "back/")
        await comes_to_be(house, {"keep.jpg": known["keep.jpg"]} | home, timeout_s=300)
        await comes_to_be(second, resident, timeout_s=180)
        # What leaves one library is seen to be gone before it is seen in the other.
        await until(lambda: nothing_waits(house, second), timeout_s=180)
    assert sent == before
    assert [(count.name, count.count) for count in await house.catalog.tags.counts(limit=5)] == [
        ("kept", 10_001)
    ]


async def nothing_waits(*houses: House) -> bool:
    return not any([(await house.state()).removal_waiting for house in houses])

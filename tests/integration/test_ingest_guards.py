"""What the daemon refuses to remove: roots that are not what they were, and too much at once."""

import asyncio
import shutil
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from api.app import build
from ingest.sync.deletion_guard import FEW
from ingest.sync.root_identity import MARKER
from tagify.cli import libraries
from tagify.model import LibraryState
from tagify.settings import ApiSettings
from tests.support import pictures
from tests.support.ingest_harness import House
from tests.support.waiting import until

MANY = [f"{number:03}.jpg" for number in range(2 * FEW + 10)]
"""Where events come in two lots and the first may go, the rest is more than may go after a restart too."""


def fill(folder: Path) -> None:
    for number, name in enumerate(MANY):
        (folder / name).write_bytes(pictures.jpeg(32, 24, seed=number))


async def test_a_root_that_vanishes_suspends_and_comes_back_by_itself(house: House, tmp_path: Path) -> None:
    (house.root / "a.jpg").write_bytes(pictures.jpeg())
    async with house.daemon():
        before = await house.holds("a.jpg")
        away = tmp_path / "away"
        house.root.rename(away)
        await until(lambda: house.is_(LibraryState.SUSPENDED))
        house.root.mkdir()
        await house.catalog.libraries.request_rescan(house.library.id)
        assert (await house.images()).keys() == {"a.jpg"}
        house.root.rmdir()
        away.rename(house.root)
        await until(lambda: house.is_(LibraryState.ACTIVE))
        (house.root / "b.jpg").write_bytes(pictures.jpeg(seed=3))
        after = await house.holds("a.jpg", "b.jpg")
    assert after["a.jpg"].id == before["a.jpg"].id


async def test_another_folder_in_its_place_suspends_until_it_is_approved(
    house: House, tmp_path: Path
) -> None:
    (house.root / "a.jpg").write_bytes(pictures.jpeg())
    async with house.daemon():
        await house.holds("a.jpg")
        house.root.rename(tmp_path / "old")
        house.root.mkdir()
        (house.root / "b.jpg").write_bytes(pictures.jpeg(seed=2))
        await until(lambda: house.is_(LibraryState.SUSPENDED))
        assert MARKER in (await house.state()).scan_error
        assert (await house.images()).keys() == {"a.jpg"}
        await house.catalog.libraries.approve(house.library.id)
        await house.holds("b.jpg")
        assert (house.root / MARKER).exists()
        (house.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
        await house.holds("b.jpg", "c.jpg")


async def test_a_root_that_is_made_again_with_its_marker_is_watched_again(
    house: House, tmp_path: Path
) -> None:
    (house.root / "a.jpg").write_bytes(pictures.jpeg())
    async with house.daemon():
        before = await house.holds("a.jpg")
        old = house.root.rename(tmp_path / "old")
        shutil.copytree(old, tmp_path / "copy")
        (tmp_path / "copy").rename(house.root)
        await house.catalog.libraries.request_rescan(house.library.id)
        (house.root / "b.jpg").write_bytes(pictures.jpeg(seed=2))
        await house.holds("a.jpg", "b.jpg")
        (house.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
        after = await house.holds("a.jpg", "b.jpg", "c.jpg")
    assert after["a.jpg"].id == before["a.jpg"].id


async def test_an_unmarked_root_is_known_by_its_place(house: House, tmp_path: Path) -> None:
    (house.root / MARKER).mkdir()
    (house.root / "a.jpg").write_bytes(pictures.jpeg())
    async with house.daemon():
        await house.holds("a.jpg")
        identity = (await house.state()).identity
        assert identity is not None and not identity.marked
        shutil.copytree(house.root, tmp_path / "copy")
        house.root.rename(tmp_path / "old")
        (tmp_path / "copy").rename(house.root)
        await until(lambda: house.is_(LibraryState.SUSPENDED))
        house.root.rename(tmp_path / "copy")
        (tmp_path / "old").rename(house.root)
        await until(lambda: house.is_(LibraryState.ACTIVE))


@pytest.mark.parametrize("offline", [False, True])
async def test_a_large_removal_waits_for_approval(
    house: House, offline: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(house.root)
    (house.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    async with house.daemon():
        before = await house.holds("keep.jpg", *MANY)
        if not offline:
            for name in MANY:
                (house.root / name).unlink()
            await until(lambda: waits(house))
    for name in MANY:
        (house.root / name).unlink(missing_ok=True)
    async with house.daemon():
        await until(lambda: waits(house))
        assert not offline or len(await house.images()) == len(MANY) + 1
        settings = house.settings
        monkeypatch.setenv("TAGIFY_MONGO_URI", settings.mongo_uri.get_secret_value())
        monkeypatch.setenv("TAGIFY_MONGO_DATABASE", settings.mongo_database)
        await run_in_thread(tmp_path, house.library.name)
        after = await house.holds("keep.jpg")
        await until(lambda: waits_no_more(house))
    assert after["keep.jpg"].id == before["keep.jpg"].id


async def test_files_that_come_back_while_their_removal_waits_are_what_they_were(
    house: House, tmp_path: Path
) -> None:
    fill(house.root)
    async with house.daemon():
        before = await house.holds(*MANY)
    (tmp_path / "aside").mkdir()
    for name in MANY:
        (house.root / name).rename(tmp_path / "aside" / name)
    (house.root / "other.jpg").write_bytes(pictures.jpeg(seed=999))
    async with house.daemon():
        await until(lambda: waits(house))
        for name in MANY:
            (tmp_path / "aside" / name).rename(house.root / name)
        await house.catalog.libraries.request_rescan(house.library.id)
        await until(lambda: waits_no_more(house))
        after = await house.holds("other.jpg", *MANY)
    assert {name: after[name].id for name in MANY} == {name: before[name].id for name in MANY}


async def test_a_large_removal_goes_ahead_after_its_time(house: House, tmp_path: Path) -> None:
    (house.root / "many").mkdir()
    fill(house.root / "many")
    many = [f"many/{name}" for name in MANY]
    (house.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    house.settings = house.settings.model_copy(
        update={"ingest_removal_wait_s": 4.0, "ingest_reconcile_s": 1.0}
    )
    async with house.daemon():
        await house.holds("keep.jpg", *many)
        (house.root / "many").rename(tmp_path / "aside")
        await until(lambda: waits(house))
        assert len(await house.images()) == len(MANY) + 1
        await house.holds("keep.jpg")
        await until(lambda: waits_no_more(house))


async def test_a_large_removal_is_approved_through_the_api(house: House, tmp_path: Path) -> None:
    (house.root / "many").mkdir()
    fill(house.root / "many")
    many = [f"many/{name}" for name in MANY]
    (house.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    settings = house.settings
    api = ApiSettings(
        mongo_uri=settings.mongo_uri,
        mongo_database=settings.mongo_database,
        s3_endpoint=settings.s3_endpoint,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
        s3_key_prefix=settings.s3_key_prefix,
    )
    async with house.daemon(), TestClient(TestServer(build(api))) as client:
        before = await house.holds("keep.jpg", *many)
        (house.root / "many").rename(tmp_path / "aside")
        await until(lambda: waits(house))
        place = f"/api/libraries/{house.library.id}"
        async with client.get("/api/libraries") as response:
            assert (await response.json())[0]["removal_waiting"] == len(MANY)
        async with client.post(f"{place}/approve") as response:
            assert response.status < 300
        await house.holds("keep.jpg")
        await until(lambda: waits_no_more(house))
        # What was removed is missing, not forgotten: it is itself when it comes back.
        (tmp_path / "aside").rename(house.root / "many")
        after = await house.holds("keep.jpg", *many)
    assert {name: image.id for name, image in after.items()} == {
        name: image.id for name, image in before.items()
    }


async def test_few_or_a_small_share_go_at_once(house: House) -> None:
    names = [f"few{number:02}.jpg" for number in range(FEW)]
    for number, name in enumerate(names):
        (house.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    (house.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    async with house.daemon():
        await house.holds("keep.jpg", *names)
        for name in names:
            (house.root / name).unlink()
        await house.holds("keep.jpg")
        assert not await waits(house)


async def waits(house: House) -> bool:
    return (await house.state()).removal_waiting > 0


async def waits_no_more(house: House) -> bool:
    library = await house.state()
    return not library.removal_waiting and library.approvals == library.approvals_used


async def run_in_thread(data_dir: Path, name: str) -> None:
    assert await asyncio.to_thread(libraries.approve, data_dir, name) == 0

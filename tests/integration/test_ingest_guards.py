"""Root guard and mass-deletion guard: no deletion below a wrong root, or of too many images at once."""

import asyncio
import shutil
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from api.app import build
from ingest.sync.deletion_guard import ALWAYS_ALLOWED
from ingest.sync.root_identity import MARKER
from tagify.cli import libraries
from tagify.model import LibraryState
from tagify.settings import ApiSettings
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

MANY = [f"{number:03}.jpg" for number in range(2 * ALWAYS_ALLOWED + 10)]
"""So many that the rest exceeds the limit even where a first batch of events is within it."""


def fill(folder: Path) -> None:
    for number, name in enumerate(MANY):
        (folder / name).write_bytes(pictures.jpeg(32, 24, seed=number))


async def test_a_missing_root_suspends_the_library_until_it_is_back(
    harness: IngestHarness, tmp_path: Path
) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    async with harness.running_ingest():
        before = await harness.wait_for_images("a.jpg")
        away = tmp_path / "away"
        harness.root.rename(away)
        await until(lambda: harness.has_state(LibraryState.SUSPENDED))
        harness.root.mkdir()
        await harness.catalog.libraries.request_rescan(harness.library.id)
        assert (await harness.images_by_path()).keys() == {"a.jpg"}
        harness.root.rmdir()
        away.rename(harness.root)
        await until(lambda: harness.has_state(LibraryState.ACTIVE))
        (harness.root / "b.jpg").write_bytes(pictures.jpeg(seed=3))
        after = await harness.wait_for_images("a.jpg", "b.jpg")
    assert after["a.jpg"].id == before["a.jpg"].id


async def test_another_folder_at_the_root_suspends_the_library_until_approved(
    harness: IngestHarness, tmp_path: Path
) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg")
        harness.root.rename(tmp_path / "old")
        harness.root.mkdir()
        (harness.root / "b.jpg").write_bytes(pictures.jpeg(seed=2))
        await until(lambda: harness.has_state(LibraryState.SUSPENDED))
        assert MARKER in (await harness.load_library()).scan_error
        assert (await harness.images_by_path()).keys() == {"a.jpg"}
        await harness.catalog.libraries.approve(harness.library.id)
        await harness.wait_for_images("b.jpg")
        assert (harness.root / MARKER).exists()
        (harness.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
        await harness.wait_for_images("b.jpg", "c.jpg")


async def test_a_root_recreated_with_its_marker_is_watched_again(
    harness: IngestHarness, tmp_path: Path
) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    async with harness.running_ingest():
        before = await harness.wait_for_images("a.jpg")
        old = harness.root.rename(tmp_path / "old")
        shutil.copytree(old, tmp_path / "copy")
        (tmp_path / "copy").rename(harness.root)
        await harness.catalog.libraries.request_rescan(harness.library.id)
        (harness.root / "b.jpg").write_bytes(pictures.jpeg(seed=2))
        await harness.wait_for_images("a.jpg", "b.jpg")
        (harness.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
        after = await harness.wait_for_images("a.jpg", "b.jpg", "c.jpg")
    assert after["a.jpg"].id == before["a.jpg"].id


async def test_an_unmarked_root_is_identified_by_file_system_and_inode(
    harness: IngestHarness, tmp_path: Path
) -> None:
    (harness.root / MARKER).mkdir()
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg")
        identity = (await harness.load_library()).identity
        assert identity is not None and not identity.marked
        shutil.copytree(harness.root, tmp_path / "copy")
        harness.root.rename(tmp_path / "old")
        (tmp_path / "copy").rename(harness.root)
        await until(lambda: harness.has_state(LibraryState.SUSPENDED))
        harness.root.rename(tmp_path / "copy")
        (tmp_path / "old").rename(harness.root)
        await until(lambda: harness.has_state(LibraryState.ACTIVE))


@pytest.mark.parametrize("offline", [False, True])
async def test_a_mass_deletion_waits_for_approval(
    harness: IngestHarness, offline: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fill(harness.root)
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    async with harness.running_ingest():
        before = await harness.wait_for_images("keep.jpg", *MANY)
        if not offline:
            for name in MANY:
                (harness.root / name).unlink()
            await until(lambda: has_pending_deletion(harness))
    for name in MANY:
        (harness.root / name).unlink(missing_ok=True)
    async with harness.running_ingest():
        await until(lambda: has_pending_deletion(harness))
        assert not offline or len(await harness.images_by_path()) == len(MANY) + 1
        settings = harness.settings
        monkeypatch.setenv("TAGIFY_MONGO_URI", settings.mongo_uri.get_secret_value())
        monkeypatch.setenv("TAGIFY_MONGO_DATABASE", settings.mongo_database)
        await approve(tmp_path, harness.library.name)
        after = await harness.wait_for_images("keep.jpg")
        await until(lambda: has_no_pending_deletion(harness))
    assert after["keep.jpg"].id == before["keep.jpg"].id


async def test_files_that_return_while_their_deletion_waits_keep_their_ids(
    harness: IngestHarness, tmp_path: Path
) -> None:
    fill(harness.root)
    async with harness.running_ingest():
        before = await harness.wait_for_images(*MANY)
    (tmp_path / "aside").mkdir()
    for name in MANY:
        (harness.root / name).rename(tmp_path / "aside" / name)
    (harness.root / "other.jpg").write_bytes(pictures.jpeg(seed=999))
    async with harness.running_ingest():
        await until(lambda: has_pending_deletion(harness))
        for name in MANY:
            (tmp_path / "aside" / name).rename(harness.root / name)
        await harness.catalog.libraries.request_rescan(harness.library.id)
        await until(lambda: has_no_pending_deletion(harness))
        after = await harness.wait_for_images("other.jpg", *MANY)
    assert {name: after[name].id for name in MANY} == {name: before[name].id for name in MANY}


async def test_a_mass_deletion_proceeds_after_its_time(harness: IngestHarness, tmp_path: Path) -> None:
    (harness.root / "many").mkdir()
    fill(harness.root / "many")
    many = [f"many/{name}" for name in MANY]
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    harness.settings = harness.settings.model_copy(
        update={"ingest_removal_wait_s": 4.0, "ingest_reconcile_s": 1.0}
    )
    async with harness.running_ingest():
        await harness.wait_for_images("keep.jpg", *many)
        (harness.root / "many").rename(tmp_path / "aside")
        await until(lambda: has_pending_deletion(harness))
        assert len(await harness.images_by_path()) == len(MANY) + 1
        await harness.wait_for_images("keep.jpg")
        await until(lambda: has_no_pending_deletion(harness))


def api_client(harness: IngestHarness, roots: Path | None = None) -> TestClient[web.Request, web.Application]:
    settings = harness.settings
    api = ApiSettings(
        mongo_uri=settings.mongo_uri,
        mongo_database=settings.mongo_database,
        s3_endpoint=settings.s3_endpoint,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key,
        s3_key_prefix=settings.s3_key_prefix,
        library_roots=(roots or harness.root,),
    )
    return TestClient(TestServer(build(api)))


async def test_an_approval_is_not_kept_for_a_later_folder(harness: IngestHarness, tmp_path: Path) -> None:
    """The root is moved away; an approval given then must not empty the library when a folder appears."""
    fill(harness.root)
    url = f"/api/libraries/{harness.library.id}"
    async with harness.running_ingest(), api_client(harness) as client:
        await harness.wait_for_images(*MANY)
        for body in (None, {}, {"pending_approval": "0" * 16}):
            async with client.post(f"{url}/approve", json=body) as response:
                assert response.status == 409
                assert (await response.json())["type"] == "urn:tagify:problem:nothing-to-approve"
        harness.root.rename(tmp_path / "away")
        await until(lambda: harness.has_state(LibraryState.SUSPENDED))
        async with client.post(f"{url}/approve") as response:
            assert response.status == 409
        async with client.get(f"{url}/progress") as response:
            assert (await response.json())["pending_approval"] is None
        harness.root.mkdir()
        await until(lambda: has_pending_approval(harness))
        await asyncio.sleep(5)
        assert (await harness.images_by_path()).keys() == set(MANY)
        async with client.get(f"{url}/progress") as response:
            pending = (await response.json())["pending_approval"]
        assert pending["images"] == len(MANY)
        # What was seen changes before the approval arrives.
        (harness.root / "new.jpg").write_bytes(pictures.jpeg(seed=998))
        await until(lambda: has_another_approval(harness, pending["_id"]))
        async with client.post(f"{url}/approve", json={"pending_approval": pending["_id"]}) as response:
            assert response.status == 409
            assert (await response.json())["type"] == "urn:tagify:problem:approval-outdated"
        assert (await harness.images_by_path()).keys() == set(MANY)
        (harness.root / "new.jpg").unlink()
        await until(lambda: has_approval(harness, pending["_id"]))
        async with client.post(f"{url}/approve", json={"pending_approval": pending["_id"]}) as response:
            assert response.status == 202
        await harness.wait_for_images()
        await until(lambda: has_no_pending_deletion(harness))


@pytest.mark.parametrize("marked", [True, False])
async def test_a_renamed_root_is_recognised_and_moved(
    harness: IngestHarness, tmp_path: Path, marked: bool
) -> None:
    names = [f"{number}.jpg" for number in range(5)]
    if not marked:
        (harness.root / MARKER).mkdir()
    for number, name in enumerate(names):
        (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest(), api_client(harness, tmp_path) as client:
        before = await harness.wait_for_images(*names)
        await harness.catalog.tags.change([before["1.jpg"].id], ["kept"], [])
        new = harness.root.rename(tmp_path / "renamed")
        async with client.post("/api/libraries", json={"path": str(new)}) as response:
            assert response.status == 409
            problem = await response.json()
        assert problem["type"] == "urn:tagify:problem:library-moved"
        assert problem["library"]["_id"] == harness.library.id
        url = f"/api/libraries/{harness.library.id}"
        async with client.patch(url, json={"path": str(new)}) as response:
            assert response.status == 200
            assert (await response.json())["path"] == str(new)
        (new / "new.jpg").write_bytes(pictures.jpeg(seed=50))
        after = await harness.wait_for_images("new.jpg", *names)
        await until(lambda: harness.has_state(LibraryState.ACTIVE))
    assert {name: after[name].id for name in names} == {name: before[name].id for name in names}
    assert after["1.jpg"].tags == ("kept",)


@pytest.mark.parametrize("copied", [False, True])
async def test_tags_survive_a_new_library_for_a_moved_root(
    harness: IngestHarness, tmp_path: Path, copied: bool
) -> None:
    """Added as another library all the same, or from a copy; then the old library is removed."""
    names = [f"{number}.jpg" for number in range(5)]
    for number, name in enumerate(names):
        (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    async with harness.running_ingest(), api_client(harness, tmp_path) as client:
        before = await harness.wait_for_images(*names)
        await harness.catalog.tags.change([before["1.jpg"].id], ["kept"], [])
        new = tmp_path / "renamed"
        if copied:
            shutil.copytree(harness.root, new)
            harness.root.rename(tmp_path.parent / f"{tmp_path.name}-away")
        else:
            harness.root.rename(new)
        await until(lambda: harness.has_state(LibraryState.SUSPENDED))
        async with client.post("/api/libraries", json={"path": str(new), "new": True}) as response:
            assert response.status == 201
            library = await harness.catalog.libraries.get((await response.json())["_id"])
        assert library is not None
        added = IngestHarness(new, harness.catalog, library, harness.settings)
        after = await added.wait_for_images(*names)
        if not copied:
            assert {name: after[name].id for name in names} == {name: before[name].id for name in names}
        assert [image.file.path for image in after.values() if image.tags] == ["1.jpg"]
        async with client.delete(f"/api/libraries/{harness.library.id}") as response:
            assert response.status == 202

        async def is_removed() -> bool:
            return await harness.catalog.libraries.get(harness.library.id) is None or not (
                await harness.images_by_path()
            )

        await until(is_removed)
        assert (await added.wait_for_images(*names))["1.jpg"].tags == ("kept",)
        assert [(tag.name, tag.count) for tag in await harness.catalog.tags.most_used(limit=5)] == [
            ("kept", 1)
        ]


@pytest.mark.parametrize("step", ["another folder", "more deletions"])
async def test_an_approval_holds_for_what_it_names_alone(
    harness: IngestHarness, tmp_path: Path, step: str
) -> None:
    """Approved while ingest is stopped; until it starts, the library changes."""
    more = [f"more-{number:02}.jpg" for number in range(ALWAYS_ALLOWED + 5)]
    fill(harness.root)
    for number, name in enumerate(more):
        (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=2000 + number))
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    async with harness.running_ingest():
        await harness.wait_for_images("keep.jpg", *MANY, *more)
    for name in MANY:
        (harness.root / name).unlink()
    async with harness.running_ingest(scanned=False):
        await until(lambda: has_pending_deletion(harness))
    before = (await harness.images_by_path()).keys()
    await harness.catalog.libraries.approve(harness.library.id)
    if step == "another folder":
        harness.root.rename(tmp_path / "away")
        harness.root.mkdir()
    else:
        for name in more:
            (harness.root / name).unlink()
    async with harness.running_ingest(scanned=False):
        await until(lambda: has_no_approval(harness))
        assert (await harness.images_by_path()).keys() == before
        # Until the new state of the folder is stored, the deletions of before are still pending.
        expected = (True, len(before)) if step == "another folder" else (False, len(before) - 1)
        await until(lambda: is_pending(harness, *expected))
        pending = (await harness.load_library()).pending_approval
        assert pending is not None
        await harness.catalog.libraries.approve(harness.library.id, pending.id)
        await harness.wait_for_images(*(() if step == "another folder" else ("keep.jpg",)))


async def test_a_mass_deletion_is_approved_through_the_api(harness: IngestHarness, tmp_path: Path) -> None:
    (harness.root / "many").mkdir()
    fill(harness.root / "many")
    many = [f"many/{name}" for name in MANY]
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    async with harness.running_ingest(), api_client(harness) as client:
        before = await harness.wait_for_images("keep.jpg", *many)
        (harness.root / "many").rename(tmp_path / "aside")
        await until(lambda: has_pending_deletion(harness))
        url = f"/api/libraries/{harness.library.id}"
        async with client.get("/api/libraries") as response:
            assert (await response.json())[0]["removal_waiting"] == len(MANY)
        async with client.post(f"{url}/approve") as response:
            assert response.status < 300
        await harness.wait_for_images("keep.jpg")
        await until(lambda: has_no_pending_deletion(harness))
        # The images are missing, not deleted: they keep their ids when the files return.
        (tmp_path / "aside").rename(harness.root / "many")
        after = await harness.wait_for_images("keep.jpg", *many)
    assert {name: image.id for name, image in after.items()} == {
        name: image.id for name, image in before.items()
    }


async def test_few_deletions_need_no_approval(harness: IngestHarness) -> None:
    names = [f"few{number:02}.jpg" for number in range(ALWAYS_ALLOWED)]
    for number, name in enumerate(names):
        (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=999))
    async with harness.running_ingest():
        await harness.wait_for_images("keep.jpg", *names)
        for name in names:
            (harness.root / name).unlink()
        await harness.wait_for_images("keep.jpg")
        assert not await has_pending_deletion(harness)


async def has_pending_deletion(harness: IngestHarness) -> bool:
    return (await harness.load_library()).pending_deletions > 0


async def has_pending_approval(harness: IngestHarness) -> bool:
    return (await harness.load_library()).pending_approval is not None


async def is_pending(harness: IngestHarness, is_empty: bool, images: int) -> bool:
    """Whether an approval for a root that is empty or not, and for this number of images, is pending."""
    pending = (await harness.load_library()).pending_approval
    return pending is not None and (pending.root.is_empty, pending.images) == (is_empty, images)


async def has_approval(harness: IngestHarness, pending_id: str) -> bool:
    pending = (await harness.load_library()).pending_approval
    return pending is not None and pending.id == pending_id


async def has_another_approval(harness: IngestHarness, pending_id: str) -> bool:
    return await has_pending_approval(harness) and not await has_approval(harness, pending_id)


async def has_no_approval(harness: IngestHarness) -> bool:
    return (await harness.load_library()).approval is None


async def has_no_pending_deletion(harness: IngestHarness) -> bool:
    library = await harness.load_library()
    return not library.pending_deletions and library.pending_approval is None and library.approval is None


async def approve(data_dir: Path, name: str) -> None:
    assert await asyncio.to_thread(libraries.approve, data_dir, name) == 0

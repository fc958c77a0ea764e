"""The daemon with a real folder, a real mongod and both S3 servers: the catalog follows the folder."""

import errno
import os

import pytest

from api.serializers import Serializer
from ingest.paths import to_catalog
from ingest.pipeline import file_reader, importer
from ingest.pipeline.file_reader import FileSnapshot
from tagify.doctor.servers import describe_left_out
from tagify.model import Bucket, Image, ImageState
from tagify.storage.store import ObjectStore
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until


async def test_a_file_is_stored_listed_and_fetchable(harness: IngestHarness, blobs: ObjectStore) -> None:
    async with harness.running_ingest():
        data = pictures.with_keywords("Sea", "sunset")
        (harness.root / "a.jpg").write_bytes(data)
        image = (await harness.wait_for_images("a.jpg"))["a.jpg"]
    assert image.content is not None
    assert (image.tags, image.mime, image.width, image.height) == (("Sea", "sunset"), "image/jpeg", 640, 480)
    assert (await blobs.download(Bucket.ORIGINALS, image.content)).data == data
    assert (await blobs.download(Bucket.THUMBS, image.content)).mime == "image/jpeg"
    assert [(tag.name, tag.count) for tag in await harness.catalog.tags.most_used(limit=10)] == [
        ("Sea", 1),
        ("sunset", 1),
    ]


async def test_existing_files_are_imported_by_the_first_scan(harness: IngestHarness) -> None:
    (harness.root / "deep" / "er").mkdir(parents=True)
    (harness.root / "deep" / "er" / "a.png").write_bytes(pictures.png())
    (harness.root / "b.jpg").write_bytes(pictures.jpeg())
    (harness.root / ".hidden.jpg").write_bytes(pictures.jpeg(seed=2))
    (harness.root / "notes.txt").write_text("no image")
    async with harness.running_ingest():
        await harness.wait_for_images("b.jpg", "deep/er/a.png")
        library = await harness.load_library()
    assert (library.scan_total, library.scan_done, library.indexed_count) == (2, 2, 2)


async def test_overwriting_keeps_id_and_tags_with_new_content(harness: IngestHarness) -> None:
    async with harness.running_ingest():
        file = harness.root / "a.jpg"
        file.write_bytes(pictures.jpeg(seed=1))
        before = (await harness.wait_for_images("a.jpg"))["a.jpg"]
        await harness.catalog.tags.change([before.id], ["kept"], [])
        file.write_bytes(pictures.jpeg(320, 200, seed=2))

        async def changed() -> Image | None:
            image = (await harness.images_by_path()).get("a.jpg")
            return image if image and image.content != before.content else None

        after = await until(changed)
    assert after is not None
    assert (after.id, after.tags, after.width) == (before.id, ("kept",), 320)


async def test_renames_and_moves_keep_id_and_tags(harness: IngestHarness) -> None:
    async with harness.running_ingest():
        (harness.root / "a.jpg").write_bytes(pictures.jpeg(seed=1))
        before = (await harness.wait_for_images("a.jpg"))["a.jpg"]
        await harness.catalog.tags.change([before.id], ["kept"], [])
        (harness.root / "a.jpg").rename(harness.root / "b.jpg")
        assert (await harness.wait_for_images("b.jpg"))["b.jpg"].id == before.id
        (harness.root / "sub").mkdir()
        (harness.root / "b.jpg").rename(harness.root / "sub" / "c.jpg")
        assert (await harness.wait_for_images("sub/c.jpg"))["sub/c.jpg"].id == before.id
        (harness.root / "sub").rename(harness.root / "other")
        after = (await harness.wait_for_images("other/c.jpg"))["other/c.jpg"]
    assert (after.id, after.tags) == (before.id, ("kept",))


async def test_images_follow_files_that_swap_names(harness: IngestHarness) -> None:
    async with harness.running_ingest():
        first, second, aside = (harness.root / name for name in ("a.jpg", "b.jpg", "aside"))
        first.write_bytes(pictures.jpeg(seed=1))
        second.write_bytes(pictures.jpeg(seed=2))
        before = await harness.wait_for_images("a.jpg", "b.jpg")
        first.rename(aside)
        second.rename(first)
        aside.rename(second)

        async def swapped() -> bool:
            now = await harness.images_by_path()
            return {path: image.id for path, image in now.items()} == {
                "a.jpg": before["b.jpg"].id,
                "b.jpg": before["a.jpg"].id,
            }

        await until(swapped)


async def test_a_file_moved_over_another_before_that_is_read_keeps_its_id(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited, moved = harness.root / "a.jpg", harness.root / "b.jpg"

    def read_late(root: str, path: str) -> FileSnapshot:
        if path == "a.jpg" and moved.exists():
            moved.rename(edited)
        return file_reader.read_file(root, path)

    async with harness.running_ingest():
        edited.write_bytes(pictures.jpeg(seed=1))
        moved.write_bytes(pictures.jpeg(seed=2))
        before = await harness.wait_for_images("a.jpg", "b.jpg")
        monkeypatch.setattr(importer, "read_file", read_late)
        edited.write_bytes(pictures.jpeg(seed=3))

        async def moved_there() -> bool:
            return {path: image.id for path, image in (await harness.images_by_path()).items()} == {
                "a.jpg": before["b.jpg"].id
            }

        await until(moved_there)


async def test_images_of_deleted_files_are_hidden_and_return_with_their_tags(
    harness: IngestHarness,
) -> None:
    async with harness.running_ingest():
        data = pictures.jpeg(seed=1)
        (harness.root / "sub").mkdir()
        (harness.root / "sub" / "a.jpg").write_bytes(data)
        (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=9))
        before = (await harness.wait_for_images("keep.jpg", "sub/a.jpg"))["sub/a.jpg"]
        await harness.catalog.tags.change([before.id], ["kept"], [])
        (harness.root / "sub" / "a.jpg").unlink()
        (harness.root / "sub").rmdir()
        await harness.wait_for_images("keep.jpg")
        assert await harness.catalog.tags.most_used(limit=10) == []
        (harness.root / "back.jpg").write_bytes(data)
        after = (await harness.wait_for_images("back.jpg", "keep.jpg"))["back.jpg"]
    assert (after.id, after.tags) == (before.id, ("kept",))


async def test_a_copy_is_a_second_image(harness: IngestHarness) -> None:
    async with harness.running_ingest():
        data = pictures.jpeg(seed=1)
        (harness.root / "a.jpg").write_bytes(data)
        await harness.wait_for_images("a.jpg")
        (harness.root / "b.jpg").write_bytes(data)
        both = await harness.wait_for_images("a.jpg", "b.jpg")
    assert both["a.jpg"].id != both["b.jpg"].id
    assert both["a.jpg"].content == both["b.jpg"].content


async def test_changes_made_while_the_daemon_was_down_are_applied(harness: IngestHarness) -> None:
    for number in range(4):
        (harness.root / f"{number}.jpg").write_bytes(pictures.jpeg(seed=number))
    async with harness.running_ingest():
        before = await harness.wait_for_images("0.jpg", "1.jpg", "2.jpg", "3.jpg")
    (harness.root / "moved").mkdir()
    (harness.root / "0.jpg").rename(harness.root / "moved" / "0.jpg")
    (harness.root / "1.jpg").unlink()
    (harness.root / "2.jpg").write_bytes(pictures.jpeg(seed=22))
    async with harness.running_ingest():
        await harness.catalog.libraries.request_rescan(harness.library.id)
        after = await harness.wait_for_images("moved/0.jpg", "2.jpg", "3.jpg")
    assert after["moved/0.jpg"].id == before["0.jpg"].id
    assert after["2.jpg"].id == before["2.jpg"].id


BAD = {
    "empty.jpg": (b"", "empty"),
    "cut.jpg": (pictures.jpeg()[:100], "premature end of JPEG image"),
    "text.jpg": (b"dear diary", "supported image format"),
    "bomb.png": (pictures.decompression_bomb(), "exceed the limit"),
}


async def test_bad_files_are_stored_as_failed_with_a_reason_and_retried(harness: IngestHarness) -> None:
    for name, (data, _) in BAD.items():
        (harness.root / name).write_bytes(data)
    (harness.root / "good.jpg").write_bytes(pictures.jpeg())
    async with harness.running_ingest():
        failed = await harness.wait_for_images(*BAD, state=ImageState.FAILED)
        for name, (_, reason) in BAD.items():
            assert reason in failed[name].error
        assert (await harness.images_by_path()).keys() == {"good.jpg"}
        (harness.root / "empty.jpg").write_bytes(pictures.jpeg(seed=7))
        ready = await harness.wait_for_images("empty.jpg", "good.jpg")
    assert ready["empty.jpg"].id == failed["empty.jpg"].id
    assert ready["empty.jpg"].error == ""


NAMES = [
    "with space.jpg",
    "quote'\".jpg",
    "hash#question?.jpg",
    "percent%2f.jpg",
    "new\nline.jpg",
    "emoji-🏔.jpg",
    os.fsdecode(b"latin-\xe9.jpg"),
]


async def test_hostile_names_are_imported_and_symlink_loops_skipped(harness: IngestHarness) -> None:
    for number, name in enumerate(NAMES):
        (harness.root / name).write_bytes(pictures.jpeg(64, 48, seed=number))
    (harness.root / "loop").symlink_to(harness.root)
    async with harness.running_ingest():
        images = await harness.wait_for_images(*(to_catalog(name) for name in NAMES))
        (harness.root / NAMES[-1]).unlink()
        await harness.wait_for_images(*(to_catalog(name) for name in NAMES[:-1]))
    assert len(images) == len(NAMES)


async def test_removing_a_library_deletes_its_documents_and_counts(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.container.MARK_AGE_S", 0)
    (harness.root / "a.jpg").write_bytes(pictures.with_keywords("sea"))
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg")
        await harness.catalog.libraries.begin_removal(harness.library.id)

        async def is_removed() -> bool:
            return await harness.catalog.libraries.get(harness.library.id) is None

        await until(is_removed)
    assert await harness.images_by_path() == {}
    assert await harness.catalog.tags.most_used(limit=10) == []
    assert (harness.root / "a.jpg").exists()


async def test_a_large_original_is_uploaded_in_parts_unchanged(
    harness: IngestHarness, blobs: ObjectStore
) -> None:
    data = pictures.jpeg() + bytes(range(256)) * (34 << 12)
    (harness.root / "large.jpg").write_bytes(data)
    async with harness.running_ingest():
        image = (await harness.wait_for_images("large.jpg"))["large.jpg"]
    assert len(data) > 32 << 20
    assert image.content is not None
    assert (await blobs.download(Bucket.ORIGINALS, image.content)).data == data


async def test_an_unreadable_file_is_stored_as_failed_and_retried_at_every_scan(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The tests may run as root, which may read every file: the error is raised where the file is opened.
    is_locked = True

    def read(root: str, path: str) -> FileSnapshot:
        if is_locked and path == "locked.jpg":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return file_reader.read_file(root, path)

    monkeypatch.setattr("ingest.pipeline.importer.read_file", read)
    (harness.root / "locked.jpg").write_bytes(pictures.jpeg())
    (harness.root / "open.jpg").write_bytes(pictures.jpeg(seed=2))
    async with harness.running_ingest():
        failed = (await harness.wait_for_images("locked.jpg", state=ImageState.FAILED))["locked.jpg"]
        assert failed.error == "the file cannot be read: Permission denied"
        await harness.wait_for_images("open.jpg")
        is_locked = False
        await harness.catalog.libraries.request_rescan(harness.library.id)
        assert (await harness.wait_for_images("locked.jpg", "open.jpg"))["locked.jpg"].id == failed.id


async def test_the_keywords_of_a_sidecar_become_tags_once(harness: IngestHarness) -> None:
    packet = pictures.XMP.format(items="<rdf:li>Sea</rdf:li><rdf:li>beach</rdf:li>")
    async with harness.running_ingest():
        (harness.root / "a.jpg").write_bytes(pictures.with_keywords("sea"))
        (harness.root / "a.xmp").write_text(packet)
        image = (await harness.wait_for_images("a.jpg"))["a.jpg"]
        assert image.tags == ("sea", "beach")
        await harness.catalog.tags.change([image.id], [], ["beach"])
        (harness.root / "a.jpg").write_bytes(pictures.with_keywords("sea", seed=2))

        async def changed() -> bool:
            return (await harness.images_by_path())["a.jpg"].content != image.content

        await until(changed)
        assert (await harness.images_by_path())["a.jpg"].tags == ("sea",)


async def test_failed_and_skipped_files_are_counted_in_the_library(harness: IngestHarness) -> None:
    for name in ("a.mov", "b.MOV", "c.txt"):
        (harness.root / name).write_bytes(b"x")
    (harness.root / "bad.jpg").write_bytes(b"no image")
    async with harness.running_ingest():
        await harness.wait_for_images("bad.jpg", state=ImageState.FAILED)

        async def is_counted() -> bool:
            return (await harness.load_library()).skipped != ()

        await until(is_counted)
        library = await harness.load_library()
        assert (library.failed_count, library.skipped) == (1, ((".mov", 2), (".txt", 1)))
        assert describe_left_out(library) == "1 failed; skipped: 2 .mov, 1 .txt"
        library_json = Serializer("", ()).library(library)
        assert (library_json["failed"], library_json["skipped"]) == (1, {".mov": 2, ".txt": 1})
        (harness.root / "bad.jpg").write_bytes(pictures.jpeg())
        await harness.wait_for_images("bad.jpg")
        assert (await harness.load_library()).failed_count == 0


async def test_a_damaged_image_is_counted_while_it_is_listed(harness: IngestHarness) -> None:
    cut = harness.root / "cut.jpg"
    cut.write_bytes(pictures.jpeg(320, 240)[:3000])
    (harness.root / "whole.jpg").write_bytes(pictures.jpeg(320, 240, seed=2))
    async with harness.running_ingest():
        images = await harness.wait_for_images("cut.jpg", "whole.jpg")
        assert (images["cut.jpg"].damaged, images["whole.jpg"].damaged) == (True, False)
        library = await harness.load_library()
        assert (library.indexed_count, library.failed_count, library.damaged_count) == (2, 0, 1)
        assert describe_left_out(library) == "1 damaged"
        serializer = Serializer("", ())
        assert serializer.library(library)["damaged"] == 1
        assert [serializer.image_event(images[name]).get("damaged") for name in sorted(images)] == [
            True,
            None,
        ]
        cut.unlink()
        await harness.wait_for_images("whole.jpg")
        assert (await harness.load_library()).damaged_count == 0
        cut.write_bytes(pictures.jpeg(320, 240)[:3000])
        await harness.wait_for_images("cut.jpg", "whole.jpg")
        assert (await harness.load_library()).damaged_count == 1
        cut.write_bytes(pictures.jpeg(320, 240))

        async def is_whole() -> bool:
            return not (await harness.images_by_path())["cut.jpg"].damaged

        await until(is_whole)
        assert (await harness.load_library()).damaged_count == 0


async def test_failures_of_an_older_catalog_are_counted(harness: IngestHarness) -> None:
    (harness.root / "bad.jpg").write_bytes(b"no image")
    async with harness.running_ingest():
        await harness.wait_for_images("bad.jpg", state=ImageState.FAILED)
    libraries = harness.catalog._database.libraries
    await libraries.update_many({}, {"$unset": {"failed_count": 1, "skipped": 1}})
    assert (await harness.load_library()).failed_count == 0
    await harness.catalog._database.migrations.delete_many({})
    await harness.catalog.ensure_indexes()
    assert (await harness.load_library()).failed_count == 1


async def test_a_sidecar_of_several_megabytes_and_a_rare_suffix_are_read(harness: IngestHarness) -> None:
    comment = "<!--" + "history " * 500_000 + "-->"
    (harness.root / "a.jfif").write_bytes(pictures.jpeg())
    packet = pictures.XMP.format(items="<rdf:li>Sea</rdf:li>").replace("<rdf:RDF", f"{comment}<rdf:RDF")
    (harness.root / "a.xmp").write_text(packet)
    async with harness.running_ingest():
        assert (await harness.wait_for_images("a.jfif"))["a.jfif"].tags == ("Sea",)


async def test_a_keyword_becomes_a_tag_when_its_image_is_first_decoded_only(harness: IngestHarness) -> None:
    whole, file = pictures.with_keywords("sea", "beach"), harness.root / "a.jpg"
    async with harness.running_ingest():
        file.write_bytes(whole[:100])
        broken = (await harness.wait_for_images("a.jpg", state=ImageState.FAILED))["a.jpg"]
        assert broken.tags == ()
        file.write_bytes(whole)
        image = (await harness.wait_for_images("a.jpg"))["a.jpg"]
        assert (image.id, image.tags) == (broken.id, ("sea", "beach"))
        await harness.catalog.tags.change([image.id], [], ["beach"])
        file.write_bytes(whole[:100])
        await harness.wait_for_images("a.jpg", state=ImageState.FAILED)
        file.write_bytes(whole)
        assert (await harness.wait_for_images("a.jpg"))["a.jpg"].tags == ("sea",)
        (harness.root / "keep.jpg").write_bytes(pictures.jpeg(seed=9))
        await harness.wait_for_images("a.jpg", "keep.jpg")
        file.unlink()
        await harness.wait_for_images("keep.jpg")
        (harness.root / "b.jpg").write_bytes(whole)
        assert (await harness.wait_for_images("b.jpg", "keep.jpg"))["b.jpg"].tags == ("sea",)
        assert [(tag.name, tag.count) for tag in await harness.catalog.tags.most_used(limit=9)] == [
            ("sea", 1)
        ]


async def test_an_image_without_a_date_was_taken_when_its_file_was_written(harness: IngestHarness) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    os.utime(harness.root / "a.jpg", (1_600_000_000, 1_600_000_000))
    async with harness.running_ingest():
        taken_at = (await harness.wait_for_images("a.jpg"))["a.jpg"].taken_at
    assert taken_at is not None
    assert taken_at.timestamp() == 1_600_000_000

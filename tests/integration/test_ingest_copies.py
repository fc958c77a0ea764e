"""A copy that is found before the move of its original takes neither the id nor the tags of the image."""

import asyncio
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from ingest.sync.content_lookup import CatalogContentLookup
from ingest.sync.move_detector import MoveDetector
from ingest.watch.debounce import Debouncer
from tagify.catalog import MoveImage
from tagify.model import Content, FileFacts, Library
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.libraries import Identity, identities, second_library, tag_each
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)


def move_then_copy(root: Path, _: Path) -> None:
    (root / "b" / "original.jpg").rename(root / "z.jpg")
    shutil.copyfile(root / "z.jpg", root / "copy.jpg")


def copy_then_move(root: Path, _: Path) -> None:
    shutil.copyfile(root / "b" / "original.jpg", root / "copy.jpg")
    (root / "b" / "original.jpg").rename(root / "z.jpg")


def move_the_folder(root: Path, _: Path) -> None:
    (root / "b").rename(root / "zz")
    shutil.copyfile(root / "zz" / "original.jpg", root / "copy.jpg")


def move_to_the_other_library(root: Path, other: Path) -> None:
    (root / "b" / "original.jpg").rename(other / "z.jpg")
    shutil.copyfile(other / "z.jpg", root / "copy.jpg")


def copy_in_the_other_library(root: Path, other: Path) -> None:
    (root / "b").rename(root / "zz")
    shutil.copyfile(root / "zz" / "original.jpg", other / "copy.jpg")


OPERATIONS = (
    move_then_copy,
    copy_then_move,
    move_the_folder,
    move_to_the_other_library,
    copy_in_the_other_library,
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.__name__)
async def test_a_copy_that_settles_before_the_move_of_its_original(
    harness: IngestHarness,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: Callable[[Path, Path], None],
) -> None:
    schedule = Debouncer._schedule

    def schedule_late(debouncer: Debouncer, path: str, due_at: float) -> None:
        schedule(debouncer, path, due_at + (0 if path == "copy.jpg" else 2))

    monkeypatch.setattr(Debouncer, "_schedule", schedule_late)
    second = await second_library(harness, tmp_path)
    add_original(harness)
    async with harness.running_ingest():
        known = await tag_original(harness)
        await until(second.is_scanned)
        operation(harness.root, second.root)
        await check_identities(harness, second, known)


@pytest.mark.parametrize(
    "operation",
    [move_to_the_other_library, copy_in_the_other_library],
    ids=lambda operation: operation.__name__,
)
async def test_a_copy_found_before_the_scan_of_another_library_writes_its_moves(
    harness: IngestHarness,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: Callable[[Path, Path], None],
) -> None:
    second = await second_library(harness, tmp_path)
    add_original(harness)
    async with harness.running_ingest():
        known = await tag_original(harness)
        await until(second.is_scanned)
    operation(harness.root, second.root)
    looked_up = asyncio.Event()
    check_moves, detect = CatalogContentLookup.check_moves, MoveDetector.detect

    async def signal(lookup: CatalogContentLookup, content: Content) -> None:
        looked_up.set()
        await check_moves(lookup, content)

    async def wait_for_lookup(
        detector: MoveDetector, library: Library, files: Iterable[FileFacts]
    ) -> list[MoveImage]:
        files = list(files)
        if any(file.path.endswith(("z.jpg", "original.jpg")) for file in files):
            await looked_up.wait()
        return await detect(detector, library, files)

    monkeypatch.setattr(CatalogContentLookup, "check_moves", signal)
    monkeypatch.setattr(MoveDetector, "detect", wait_for_lookup)
    async with harness.running_ingest(scanned=False):
        await check_identities(harness, second, known)


def add_original(harness: IngestHarness) -> None:
    (harness.root / "b").mkdir()
    (harness.root / "b" / "original.jpg").write_bytes(pictures.jpeg(32, 24, seed=1))
    (harness.root / "other.jpg").write_bytes(pictures.jpeg(32, 24, seed=2))


async def tag_original(harness: IngestHarness) -> tuple[str, tuple[str, ...]]:
    """The id and tags of the image of the original."""
    await harness.wait_for_images("b/original.jpg", "other.jpg")
    return (await tag_each(harness, identities(harness, harness.library)))["b/original.jpg"]


async def check_identities(
    harness: IngestHarness, second: IngestHarness, known: tuple[str, tuple[str, ...]]
) -> None:
    def both() -> Identity:
        return identities(harness, harness.library) | identities(harness, second.library)

    async def are_imported() -> bool:
        paths = both().keys()
        return "copy.jpg" in paths and any(path.endswith(("z.jpg", "zz/original.jpg")) for path in paths)

    await until(are_imported)
    found = both()
    assert found["copy.jpg"][1] == ()
    assert [image for path, image in found.items() if path in {"z.jpg", "zz/original.jpg"}] == [known]

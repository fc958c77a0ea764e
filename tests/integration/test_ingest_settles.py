"""However a file comes into being: it is exactly one image, and never a part of one."""

import asyncio
import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.pipeline.file_reader import read_file
from ingest.watch import Watch, Watcher, WatchRefused
from tagify.model import Image
from tests.support import pictures
from tests.support.content_history import ContentHistory
from tests.support.ingest_harness import IngestHarness
from tests.support.servers import skip_or_fail
from tests.support.waiting import until

# One store is enough: what is tested here comes before it.
pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

GIF = pictures.animated("GIF", [f"#{number:02x}{number * 7 % 256:02x}40" for number in range(200)])
"""Its first frame is a whole picture, long before the file is whole."""

SETTLE_S = 0.3


@pytest.fixture
def slow_house(harness: IngestHarness) -> IngestHarness:
    harness.settings = harness.settings.model_copy(update={"ingest_settle_s": SETTLE_S})
    return harness


@pytest.fixture
def history(harness: IngestHarness) -> Iterator[ContentHistory]:
    made = ContentHistory(harness.settings)
    yield made
    made.close()


def content(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def run(*command: str | Path) -> None:
    program = str(command[0])
    if shutil.which(program) is None:
        skip_or_fail(program, f"sudo apt-get install {program}")
    process = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def ends_as(
    harness: IngestHarness, history: ContentHistory, files: dict[str, bytes], added: int | None = None
) -> dict[str, Image]:
    """These images and no others, of these contents and never of any other."""

    async def whole() -> bool:
        found = await harness.images_by_path()
        return {path: image.content for path, image in found.items()} == {
            path: content(data) for path, data in files.items()
        }

    await until(whole, timeout_s=60)
    history.consume()
    assert history.contents <= {content(data) for data in files.values()}
    assert history.added_count == (len(files) if added is None else added)
    return await harness.images_by_path()


async def write_slowly(place: Path, data: bytes, pieces: int, pause_s: float) -> None:
    """As a slow disk or a network does it."""
    size = -(-len(data) // pieces)
    with place.open("wb", buffering=0) as out:
        for start in range(0, len(data), size):
            out.write(data[start : start + size])
            await asyncio.sleep(pause_s)


async def test_a_slow_copy_in_small_writes(slow_house: IngestHarness, history: ContentHistory) -> None:
    async with slow_house.running_ingest():
        await write_slowly(slow_house.root / "a.gif", GIF, 60, 0.02)
        await ends_as(slow_house, history, {"a.gif": GIF})


async def test_a_download_that_grows_with_pauses(slow_house: IngestHarness, history: ContentHistory) -> None:
    """Pauses longer than the settle time: it is not closed, so it is not taken."""
    async with slow_house.running_ingest():
        await write_slowly(slow_house.root / "a.gif", GIF, 5, SETTLE_S * 2)
        await ends_as(slow_house, history, {"a.gif": GIF})


async def test_a_copy_that_was_under_way_when_the_daemon_began(
    slow_house: IngestHarness, history: ContentHistory
) -> None:
    copy = asyncio.create_task(write_slowly(slow_house.root / "a.gif", GIF, 60, 0.05))
    await asyncio.sleep(0.2)
    async with slow_house.running_ingest():
        await copy
        await ends_as(slow_house, history, {"a.gif": GIF})


async def test_a_copy_that_is_under_way_when_the_library_is_scanned(
    slow_house: IngestHarness, history: ContentHistory
) -> None:
    async with slow_house.running_ingest():
        copy = asyncio.create_task(write_slowly(slow_house.root / "a.gif", GIF, 5, SETTLE_S * 2))
        while not copy.done():
            await slow_house.catalog.libraries.request_rescan(slow_house.library.id)
            await asyncio.sleep(0.3)
        await ends_as(slow_house, history, {"a.gif": GIF})


async def test_a_slow_copy_into_a_folder_that_is_polled(
    slow_house: IngestHarness, history: ContentHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def add(watcher: Watcher, watch: Watch) -> None:
        raise WatchRefused(f"{watch.root}: not here")

    monkeypatch.setattr(Watcher, "add_watch", add)
    slow_house.settings = slow_house.settings.model_copy(update={"ingest_poll_s": 0.2})
    async with slow_house.running_ingest():
        await write_slowly(slow_house.root / "a.gif", GIF, 60, 0.05)
        await ends_as(slow_house, history, {"a.gif": GIF})


async def test_rsync(harness: IngestHarness, history: ContentHistory, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    files = {f"{number}.jpg": pictures.jpeg(seed=number) for number in range(20)}
    for name, data in files.items():
        (source / name).write_bytes(data)
    async with harness.running_ingest():
        await run("rsync", "-a", "--bwlimit=2000", f"{source}/", harness.root)
        before = await ends_as(harness, history, files)
        files["3.jpg"] = pictures.jpeg(seed=33)
        (source / "3.jpg").write_bytes(files["3.jpg"])
        history.contents.clear()
        await run("rsync", "-a", f"{source}/", harness.root)
        after = await ends_as(harness, history, files, added=20)
    assert {path: image.id for path, image in after.items()} == {
        path: image.id for path, image in before.items()
    }


async def test_a_copy_by_reference(harness: IngestHarness, history: ContentHistory, tmp_path: Path) -> None:
    data = pictures.jpeg()
    (tmp_path / "a.jpg").write_bytes(data)
    async with harness.running_ingest():
        await run("cp", "--reflink=auto", "--preserve=all", tmp_path / "a.jpg", harness.root / "a.jpg")
        await run("cp", "--reflink=auto", harness.root / "a.jpg", harness.root / "b.jpg")
        await ends_as(harness, history, {"a.jpg": data, "b.jpg": data})


@pytest.mark.parametrize("sibling", [".a.jpg.swp", "a.jpg~", "a.jpg.tmp"])
async def test_an_editor_that_writes_a_sibling_and_renames_it(
    harness: IngestHarness, history: ContentHistory, sibling: str
) -> None:
    place, first, second = harness.root / "a.jpg", pictures.jpeg(seed=1), pictures.jpeg(seed=2)
    async with harness.running_ingest():
        place.write_bytes(first)
        before = (await ends_as(harness, history, {"a.jpg": first}))["a.jpg"]
        await harness.catalog.tags.change([before.id], ["kept"], [])
        history.contents.clear()
        await write_slowly(harness.root / sibling, second, 5, 0.1)
        (harness.root / sibling).replace(place)
        after = (await ends_as(harness, history, {"a.jpg": second}))["a.jpg"]
    assert (after.id, after.tags) == (before.id, ("kept",))


async def test_a_camera_is_emptied_into_the_library(
    harness: IngestHarness, history: ContentHistory, tmp_path: Path
) -> None:
    """Folders moved in whole send one event each; copied ones are filled while they are found."""
    files: dict[str, bytes] = {}
    for folder in ("DCIM/100", "DCIM/101", "DCIM/101/best"):
        (tmp_path / "card" / folder).mkdir(parents=True)
        for number in range(15):
            path = f"{folder}/{number}.jpg"
            files[path] = pictures.jpeg(120, 80, seed=len(files))
            (tmp_path / "card" / path).write_bytes(files[path])
    async with harness.running_ingest():
        await run("cp", "-r", tmp_path / "card", harness.root / "copied")
        (tmp_path / "card").rename(harness.root / "moved")
        both = {f"{top}/{path}": data for top in ("copied", "moved") for path, data in files.items()}
        await ends_as(harness, history, both)


@pytest.mark.slow
async def test_ten_thousand_small_files_out_of_an_archive(
    harness: IngestHarness, history: ContentHistory, tmp_path: Path
) -> None:
    data = pictures.jpeg(32, 24)
    files = {f"{n // 100:03}/{n:05}.jpg": data + n.to_bytes(4, "big") for n in range(10_000)}
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path, each in files.items():
            archive.writestr(path, each)
    async with harness.running_ingest():
        await run("unzip", "-q", tmp_path / "all.zip", "-d", harness.root)

        async def all_in() -> bool:
            return (await harness.load_library()).indexed_count == len(files)

        await until(all_in, timeout_s=480, every_s=0.5)
    history.consume()
    assert history.contents == {content(each) for each in files.values()}
    assert history.added_count == len(files)


def test_a_file_that_changes_while_it_is_read_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: object
) -> None:
    place, later = tmp_path / "a.jpg", pictures.jpeg(seed=2)
    place.write_bytes(pictures.jpeg(seed=1))
    sha256 = hashlib.sha256

    def change(data: bytes) -> object:
        monkeypatch.setattr(hashlib, "sha256", sha256)
        place.write_bytes(later)
        return sha256(data)

    monkeypatch.setattr(hashlib, "sha256", change)
    reading = read_file(str(place), "a.jpg")
    status = os.stat(place)
    assert reading.content == content(later)
    assert (reading.file.size, reading.file.mtime_ns) == (status.st_size, status.st_mtime_ns)

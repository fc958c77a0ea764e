"""However a file is created, it becomes exactly one image, never from a part of its bytes."""

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

# With one store only: these tests do not depend on the store.
pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

GIF = pictures.animated("GIF", [f"#{number:02x}{number * 7 % 256:02x}40" for number in range(200)])
"""Its first frame is decodable long before the file is complete."""

SETTLE_S = 0.3


@pytest.fixture
def slow_harness(harness: IngestHarness) -> IngestHarness:
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


async def wait_for_contents(
    harness: IngestHarness, history: ContentHistory, files: dict[str, bytes], added: int | None = None
) -> dict[str, Image]:
    """Wait for exactly these images; no other content was ever stored."""

    async def has_contents() -> bool:
        images = await harness.images_by_path()
        return {path: image.content for path, image in images.items()} == {
            path: content(data) for path, data in files.items()
        }

    await until(has_contents, timeout_s=60)
    history.consume()
    assert history.contents <= {content(data) for data in files.values()}
    assert history.added_count == (len(files) if added is None else added)
    return await harness.images_by_path()


async def write_slowly(file: Path, data: bytes, pieces: int, pause_s: float) -> None:
    """Write as a slow disk or network does."""
    size = -(-len(data) // pieces)
    with file.open("wb", buffering=0) as out:
        for start in range(0, len(data), size):
            out.write(data[start : start + size])
            await asyncio.sleep(pause_s)


async def test_a_slow_copy_in_small_writes(slow_harness: IngestHarness, history: ContentHistory) -> None:
    async with slow_harness.running_ingest():
        await write_slowly(slow_harness.root / "a.gif", GIF, 60, 0.02)
        await wait_for_contents(slow_harness, history, {"a.gif": GIF})


async def test_a_download_that_grows_with_pauses(
    slow_harness: IngestHarness, history: ContentHistory
) -> None:
    """The pauses exceed the settle time, but a file that was not closed has a longer quiet time."""
    async with slow_harness.running_ingest():
        await write_slowly(slow_harness.root / "a.gif", GIF, 5, SETTLE_S * 2)
        await wait_for_contents(slow_harness, history, {"a.gif": GIF})


async def test_a_copy_in_progress_when_the_daemon_starts(
    slow_harness: IngestHarness, history: ContentHistory
) -> None:
    copy = asyncio.create_task(write_slowly(slow_harness.root / "a.gif", GIF, 60, 0.05))
    await asyncio.sleep(0.2)
    async with slow_harness.running_ingest():
        await copy
        await wait_for_contents(slow_harness, history, {"a.gif": GIF})


async def test_a_copy_in_progress_during_scans(slow_harness: IngestHarness, history: ContentHistory) -> None:
    async with slow_harness.running_ingest():
        copy = asyncio.create_task(write_slowly(slow_harness.root / "a.gif", GIF, 5, SETTLE_S * 2))
        while not copy.done():
            await slow_harness.catalog.libraries.request_rescan(slow_harness.library.id)
            await asyncio.sleep(0.3)
        await wait_for_contents(slow_harness, history, {"a.gif": GIF})


async def test_a_slow_copy_into_a_folder_that_is_polled(
    slow_harness: IngestHarness, history: ContentHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def add(watcher: Watcher, watch: Watch) -> None:
        raise WatchRefused(f"{watch.root}: not here")

    monkeypatch.setattr(Watcher, "add_watch", add)
    slow_harness.settings = slow_harness.settings.model_copy(update={"ingest_poll_s": 0.2})
    async with slow_harness.running_ingest():
        await write_slowly(slow_harness.root / "a.gif", GIF, 60, 0.05)
        await wait_for_contents(slow_harness, history, {"a.gif": GIF})


async def test_rsync(harness: IngestHarness, history: ContentHistory, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    files = {f"{number}.jpg": pictures.jpeg(seed=number) for number in range(20)}
    for name, data in files.items():
        (source / name).write_bytes(data)
    async with harness.running_ingest():
        await run("rsync", "-a", "--bwlimit=2000", f"{source}/", harness.root)
        before = await wait_for_contents(harness, history, files)
        files["3.jpg"] = pictures.jpeg(seed=33)
        (source / "3.jpg").write_bytes(files["3.jpg"])
        history.contents.clear()
        await run("rsync", "-a", f"{source}/", harness.root)
        after = await wait_for_contents(harness, history, files, added=20)
    assert {path: image.id for path, image in after.items()} == {
        path: image.id for path, image in before.items()
    }


async def test_a_copy_by_reference(harness: IngestHarness, history: ContentHistory, tmp_path: Path) -> None:
    data = pictures.jpeg()
    (tmp_path / "a.jpg").write_bytes(data)
    async with harness.running_ingest():
        await run("cp", "--reflink=auto", "--preserve=all", tmp_path / "a.jpg", harness.root / "a.jpg")
        await run("cp", "--reflink=auto", harness.root / "a.jpg", harness.root / "b.jpg")
        await wait_for_contents(harness, history, {"a.jpg": data, "b.jpg": data})


@pytest.mark.parametrize("sibling", [".a.jpg.swp", "a.jpg~", "a.jpg.tmp"])
async def test_an_editor_that_writes_a_sibling_and_renames_it(
    harness: IngestHarness, history: ContentHistory, sibling: str
) -> None:
    file, first, second = harness.root / "a.jpg", pictures.jpeg(seed=1), pictures.jpeg(seed=2)
    async with harness.running_ingest():
        file.write_bytes(first)
        before = (await wait_for_contents(harness, history, {"a.jpg": first}))["a.jpg"]
        await harness.catalog.tags.change([before.id], ["kept"], [])
        history.contents.clear()
        await write_slowly(harness.root / sibling, second, 5, 0.1)
        (harness.root / sibling).replace(file)
        after = (await wait_for_contents(harness, history, {"a.jpg": second}))["a.jpg"]
    assert (after.id, after.tags) == (before.id, ("kept",))


async def test_folders_of_a_memory_card_are_copied_and_moved_in(
    harness: IngestHarness, history: ContentHistory, tmp_path: Path
) -> None:
    """A folder that is moved in causes one event; a copied one is filled while it is scanned."""
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
        await wait_for_contents(harness, history, both)


@pytest.mark.slow
async def test_ten_thousand_small_files_are_unpacked(
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
    file, later = tmp_path / "a.jpg", pictures.jpeg(seed=2)
    file.write_bytes(pictures.jpeg(seed=1))
    sha256 = hashlib.sha256

    def change(data: bytes) -> object:
        monkeypatch.setattr(hashlib, "sha256", sha256)
        file.write_bytes(later)
        return sha256(data)

    monkeypatch.setattr(hashlib, "sha256", change)
    snapshot = read_file(str(tmp_path), "a.jpg")
    status = os.stat(file)
    assert snapshot.content == content(later)
    assert (snapshot.file.size, snapshot.file.mtime_ns) == (status.st_size, status.st_mtime_ns)

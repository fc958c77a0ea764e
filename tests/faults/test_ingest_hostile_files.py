"""Files that hang, grow or end their decoder fail with a reason; others are imported meanwhile."""

import os
import signal
from pathlib import Path

import pytest

from tagify.model import ImageState
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import process
from tests.support.ops_pages import OpsPages
from tests.support.ports import free_ports
from tests.support.waiting import until

DEADLINE_S = 4
BOMBS = ("bomb0.jpg", "bomb1.jpg", "bomb2.jpg")
ORDINARY = 40

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)


def scan_bomb(seed: int) -> bytes:
    return pictures.many_scans_jpeg(1500, 60_000) + bytes([seed])


async def second_library(harness: IngestHarness, folder: Path) -> IngestHarness:
    folder.mkdir()
    library = await harness.catalog.libraries.create("ordinary", str(folder))
    return IngestHarness(folder, harness.catalog, library, harness.settings)


def decoder_pids(daemon_pid: int) -> set[int]:
    """The workers: children of the daemon's child, the fork server."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    return {pid for pid, parent in parents.items() if parents.get(parent) == daemon_pid}


async def test_three_scan_bombs_fail_while_others_are_imported_and_a_restart_does_not_repeat_them(
    harness: IngestHarness, tmp_path: Path
) -> None:
    other = await second_library(harness, tmp_path / "ordinary")
    for seed, name in enumerate(BOMBS):
        (harness.root / name).write_bytes(scan_bomb(seed))
    port = free_ports()
    settings = harness.settings.model_copy(update={"ingest_port": port, "ingest_decode_s": DEADLINE_S})
    log = tmp_path / "ingest.log"
    async with process(settings, log) as daemon:

        async def is_decoding() -> bool:
            return len(decoder_pids(daemon.pid)) > 0

        await until(is_decoding, timeout_s=30)
        for number in range(ORDINARY):
            (other.root / f"{number}.jpg").write_bytes(pictures.jpeg(640, 480, seed=number))

        async def ordinary_are_in() -> bool:
            return len(await other.images_by_path()) == ORDINARY

        await until(ordinary_are_in, timeout_s=30)
        assert len(await harness.images_by_path(ImageState.FAILED)) < len(BOMBS)

        async def bombs_failed() -> bool:
            return len(await harness.images_by_path(ImageState.FAILED)) == len(BOMBS)

        await until(bombs_failed, timeout_s=60)
        for image in (await harness.images_by_path(ImageState.FAILED)).values():
            assert image.error == f"decoding the file takes more than {DEADLINE_S} s"
        await until(harness.is_scanned)
    text = log.read_text()
    assert text.count("decoding stopped") == len(BOMBS)
    assert text.count("image not decodable") == len(BOMBS)
    log.unlink()
    before = await harness.load_library()
    async with process(settings, log):

        async def is_scanned_again() -> bool:
            library = await harness.load_library()
            return library.last_scanned != before.last_scanned and not library.scanning

        await until(is_scanned_again, timeout_s=30)
        assert await OpsPages.for_port(port).metric("ingest_queue_files") == 0
        assert "decoding" not in log.read_text()
        # A changed file is tried again.
        (harness.root / BOMBS[0]).write_bytes(pictures.jpeg())
        await harness.wait_for_images(BOMBS[0])


async def test_an_image_that_takes_too_much_memory_fails_and_the_daemon_stays_small(
    harness: IngestHarness, tmp_path: Path
) -> None:
    (harness.root / "bomb.png").write_bytes(pictures.decompression_bomb(15_000))
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    settings = harness.settings.model_copy(update={"ingest_decoder_mb": 128, "max_pixels": 250_000_000})
    async with process(settings, tmp_path / "ingest.log") as daemon:
        await harness.wait_for_images("a.jpg")
        failed = await harness.wait_for_images("bomb.png", state=ImageState.FAILED)
        peak_kb = int(Path(f"/proc/{daemon.pid}/status").read_text().split("VmHWM:")[1].split()[0])
    assert "TAGIFY_INGEST_DECODER_MB" in failed["bomb.png"].error
    assert peak_kb < 200 << 10


async def test_a_file_whose_decoder_is_killed_twice_fails_and_others_survive_such_kills(
    harness: IngestHarness, tmp_path: Path
) -> None:
    (harness.root / "bomb.jpg").write_bytes(scan_bomb(0))
    settings = harness.settings.model_copy(update={"ingest_decode_s": 120})
    async with process(settings, tmp_path / "ingest.log") as daemon:

        async def has_failed() -> bool:
            for pid in decoder_pids(daemon.pid):
                os.kill(pid, signal.SIGKILL)
            return bool(await harness.images_by_path(ImageState.FAILED))

        await until(has_failed, timeout_s=60, every_s=0.5)
        assert (await harness.images_by_path(ImageState.FAILED))["bomb.jpg"].error == (
            "decoding the file crashed the decoder"
        )
        for pid in decoder_pids(daemon.pid):
            os.kill(pid, signal.SIGKILL)
        (harness.root / "a.jpg").write_bytes(pictures.jpeg())
        await harness.wait_for_images("a.jpg")


async def test_a_sidecar_that_cannot_be_parsed_in_time_leaves_its_image_listed(
    harness: IngestHarness, tmp_path: Path
) -> None:
    subject = '<dc:subject xmlns:dc="http://purl.org/dc/elements/1.1/">'
    depth = 12_000
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    (harness.root / "a.jpg.xmp").write_text(subject * depth + "</dc:subject>" * depth)
    async with process(harness.settings, tmp_path / "ingest.log"):

        async def is_listed() -> bool:
            return bool(await harness.images_by_path())

        await until(is_listed, timeout_s=60)

"""The limit of inotify watches: logged once with the remedy; folders without a watch are polled."""

import asyncio
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import COMMAND, process
from tests.support.servers import skip_or_fail
from tests.support.waiting import until

WATCHES = 20

STOPPED_S = 30.0
"""Time for which the daemon is stopped while files are written, in seconds."""


async def test_folders_beyond_the_limit_are_polled(harness: IngestHarness, tmp_path: Path) -> None:
    unshare = shutil.which("unshare") or skip_or_fail("unshare", "sudo apt-get install util-linux")
    for number in range(WATCHES + 10):
        (harness.root / f"{number:02}").mkdir()
    limited = f'echo {WATCHES} > /proc/sys/user/max_inotify_watches && exec "$@"'
    settings = harness.settings.model_copy(update={"ingest_poll_s": 0.5})
    log = tmp_path / "ingest.log"
    command = (unshare, "-Urm", "sh", "-c", limited, "sh", *COMMAND)
    async with process(settings, log, command):
        await until(harness.is_scanned)
        paths = [f"{number:02}/a.jpg" for number in range(WATCHES + 10)]
        for number, path in enumerate(paths):
            (harness.root / path).write_bytes(pictures.jpeg(16, 12, seed=number))
        await harness.wait_for_images(*paths)
    logged = log.read_text()
    assert logged.count("fs.inotify.max_user_watches") == 1


async def test_excluded_folders_have_no_watch(harness: IngestHarness, tmp_path: Path) -> None:
    unshare = shutil.which("unshare") or skip_or_fail("unshare", "sudo apt-get install util-linux")
    for number in range(WATCHES + 10):
        (harness.root / "@eaDir" / f"{number:02}").mkdir(parents=True)
        (harness.root / f".{number:02}").mkdir()
    (harness.root / "seen").mkdir()
    limited = f'echo {WATCHES} > /proc/sys/user/max_inotify_watches && exec "$@"'
    log = tmp_path / "ingest.log"
    async with process(harness.settings, log, (unshare, "-Urm", "sh", "-c", limited, "sh", *COMMAND)):
        await until(harness.is_scanned)
        (harness.root / "seen" / "a.jpg").write_bytes(pictures.jpeg())
        await harness.wait_for_images("seen/a.jpg")
    assert "max_user_watches" not in log.read_text()


# With one store only: this test does not depend on the store.
@pytest.mark.slow
@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_events_lost_while_the_daemon_was_stopped_lose_no_file(
    harness: IngestHarness, tmp_path: Path
) -> None:
    data = [pictures.jpeg(16, 12, seed=seed) for seed in range(20)]
    async with process(harness.settings, tmp_path / "ingest.log") as daemon:
        await until(harness.is_scanned)
        daemon.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        for number in range(50_000):
            # 50 contents keep the uploads few: the store is not tested here.
            (harness.root / f"{number:05}.jpg").write_bytes(data[number % 20] + bytes((number % 50,)))
        # As long as the suspension of a machine.
        await asyncio.sleep(max(0.0, stopped + STOPPED_S - time.monotonic()))
        daemon.send_signal(signal.SIGCONT)

        async def all_in() -> bool:
            return (await harness.load_library()).indexed_count == 50_000

        await until(all_in, timeout_s=1200, every_s=0.5)

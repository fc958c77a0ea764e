"""A second daemon waits for the lease, and takes over from a dead or stopped one, which then writes nothing."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.content_history import ContentHistory
from tests.support.ingest_harness import IngestHarness
from tests.support.ingest_process import COMMAND, process
from tests.support.ops_pages import OpsPages
from tests.support.ports import free_ports
from tests.support.servers import skip_or_fail
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

TAKEN_OVER_S = 30
FILES = 300

OTHER_NAMESPACE = ("unshare", "-U", "-r", "-p", "-f", "--mount-proc", "--kill-child", *COMMAND)
"""A daemon that cannot see the other one's process, as on another host."""


def write(harness: IngestHarness, start: int, end: int) -> None:
    for number in range(start, end):
        (harness.root / f"{number:03}.jpg").write_bytes(pictures.jpeg(64, 48, seed=number))


async def has(harness: IngestHarness, number: int) -> bool:
    return (await harness.load_library()).indexed_count >= number


async def has_logged(log: Path, text: str) -> bool:
    return text in log.read_text()


@pytest.mark.parametrize(
    ("command", "number"),
    [(COMMAND, signal.SIGKILL), pytest.param(OTHER_NAMESPACE, signal.SIGKILL, marks=pytest.mark.slow)],
)
async def test_a_waiting_daemon_takes_over_from_a_killed_one(
    harness: IngestHarness, tmp_path: Path, command: tuple[str, ...], number: int
) -> None:
    if shutil.which(command[0]) is None:
        skip_or_fail(command[0], "sudo apt-get install util-linux")
    first_log, second_log, port = tmp_path / "first.log", tmp_path / "second.log", free_ports()
    waiting = harness.settings.model_copy(update={"ingest_port": port})
    async with process(harness.settings, first_log) as first:
        write(harness, 0, 1)
        await until(lambda: has(harness, 1))
        async with process(waiting, second_log, command):
            await until(lambda: has_logged(second_log, "another daemon holds the lease of this library"))
            assert await OpsPages.for_port(port).metric('ingest_waiting{what="lease"}') == 1
            first.send_signal(number)
            await first.wait()
            write(harness, 1, 2)
            start = time.monotonic()
            await until(lambda: has(harness, 2), timeout_s=60)
            assert time.monotonic() - start < TAKEN_OVER_S
            assert await OpsPages.for_port(port).metric('ingest_waiting{what="lease"}') == 0


@pytest.mark.slow
async def test_a_daemon_stopped_for_longer_than_its_lease_writes_nothing(
    harness: IngestHarness, tmp_path: Path
) -> None:
    first_log, second_log = tmp_path / "first.log", tmp_path / "second.log"
    history = ContentHistory(harness.settings)
    async with process(harness.settings, first_log) as first:
        await until(harness.is_scanned)
        write(harness, 0, FILES)
        await until(lambda: has(harness, FILES // 10))
        first.send_signal(signal.SIGSTOP)
        before = await harness.load_library()
        async with process(harness.settings, second_log):
            start = time.monotonic()
            await until(lambda: has(harness, FILES), timeout_s=60)
            assert time.monotonic() - start < TAKEN_OVER_S + 15  # the import itself included

            async def scanned_again() -> bool:
                return (
                    await harness.load_library()
                ).last_scanned != before.last_scanned and await harness.is_scanned()

            await until(scanned_again)
            settled = await harness.load_library()
            first.send_signal(signal.SIGCONT)
            await until(lambda: has_logged(first_log, "lease of the library lost to another daemon"))
            await until(lambda: has_logged(first_log, "another daemon holds the lease of this library"))
            assert await harness.load_library() == settled
            write(harness, FILES, FILES + 1)
            await until(lambda: has(harness, FILES + 1))
    history.consume()
    history.close()
    assert history.added_count == FILES + 1
    assert (await harness.load_library()).indexed_count == FILES + 1

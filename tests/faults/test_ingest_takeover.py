"""A second daemon waits, says so, and takes over from one that died or stands still, which then writes nothing more."""

import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support import pictures
from tests.support.content_history import History
from tests.support.ingest_harness import House
from tests.support.ingest_process import COMMAND, process
from tests.support.ops_pages import Pages
from tests.support.ports import free_ports
from tests.support.servers import missing
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

TAKEN_OVER_S = 30
FILES = 300

ELSEWHERE = ("unshare", "-U", "-r", "-p", "-f", "--mount-proc", "--kill-child", *COMMAND)
"""A daemon that cannot see whether the other's process lives, as on another host."""


def write(house: House, start: int, end: int) -> None:
    for number in range(start, end):
        (house.root / f"{number:03}.jpg").write_bytes(pictures.jpeg(64, 48, seed=number))


async def has(house: House, number: int) -> bool:
    return (await house.state()).indexed_count >= number


async def says(log: Path, text: str) -> bool:
    return text in log.read_text()


@pytest.mark.parametrize(
    ("command", "number"),
    [(COMMAND, signal.SIGKILL), pytest.param(ELSEWHERE, signal.SIGKILL, marks=pytest.mark.slow)],
)
async def test_a_daemon_that_is_killed_is_followed_by_the_one_that_waits(
    house: House, tmp_path: Path, command: tuple[str, ...], number: int
) -> None:
    if shutil.which(command[0]) is None:
        missing(command[0], "sudo apt-get install util-linux")
    first_log, second_log, port = tmp_path / "first.log", tmp_path / "second.log", free_ports()
    waiting = house.settings.model_copy(update={"ingest_port": port})
    async with process(house.settings, first_log) as first:
        write(house, 0, 1)
        await until(lambda: has(house, 1))
        async with process(waiting, second_log, command):
            await until(lambda: says(second_log, "another daemon keeps this library"))
            assert await Pages.at(port).metric('ingest_waiting{what="lease"}') == 1
            first.send_signal(number)
            await first.wait()
            write(house, 1, 2)
            start = time.monotonic()
            await until(lambda: has(house, 2), timeout_s=60)
            assert time.monotonic() - start < TAKEN_OVER_S
            assert await Pages.at(port).metric('ingest_waiting{what="lease"}') == 0


@pytest.mark.slow
async def test_a_daemon_that_stood_still_writes_nothing_more(house: House, tmp_path: Path) -> None:
    first_log, second_log = tmp_path / "first.log", tmp_path / "second.log"
    history = History(house.settings)
    async with process(house.settings, first_log) as first:
        await until(house.scanned)
        write(house, 0, FILES)
        await until(lambda: has(house, FILES // 10))
        first.send_signal(signal.SIGSTOP)
        before = await house.state()
        async with process(house.settings, second_log):
            start = time.monotonic()
            await until(lambda: has(house, FILES), timeout_s=60)
            assert time.monotonic() - start < TAKEN_OVER_S + 15  # the import itself included

            async def scanned_again() -> bool:
                return (await house.state()).last_scanned != before.last_scanned and await house.scanned()

            await until(scanned_again)
            settled = await house.state()
            first.send_signal(signal.SIGCONT)
            await until(lambda: says(first_log, "another daemon has taken over"))
            await until(lambda: says(first_log, "another daemon keeps this library"))
            assert await house.state() == settled
            write(house, FILES, FILES + 1)
            await until(lambda: has(house, FILES + 1))
    history.read()
    history.close()
    assert history.added == FILES + 1
    assert (await house.state()).indexed_count == FILES + 1

"""The disk cache on real files: kept over restarts, bounded, shared, and never at fault for a client."""

import asyncio
import json
import os
import pickle
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from edge.cache import CacheEntry, DiskCache
from edge.cache.__main__ import main as command
from edge.cache.files import NOWAIT_MAX_BYTES
from tagify.metrics import Metrics
from tagify.servers.local_profile import save_profile
from tests.support.cache_probe import probe_entry, probe_key
from tests.support.servers import skip_or_fail

PROBE = (sys.executable, "-m", "tests.support.cache_probe")


@asynccontextmanager
async def cache(
    folder: Path, size_bytes: int = 100_000_000, *, handing_over: bool = False
) -> AsyncIterator[tuple[DiskCache, Metrics]]:
    metrics = Metrics()
    made = DiskCache(folder, size_bytes, metrics, x_accel=handing_over)
    await made.open()
    try:
        yield made, metrics
    finally:
        await made.close()


def counted(metrics: Metrics, name: str) -> float:
    lines = metrics.exposition()[0].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def only_file(folder: Path) -> Path:
    (found,) = folder.rglob("*.val")
    return found


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    async with cache(folder) as (first, _):
        assert await first.get(probe_key(1)) is None
        await first.store(probe_key(1), probe_entry(1))
        assert await first.get(probe_key(1)) == probe_entry(1)
        assert folder.stat().st_mode & 0o777 == 0o700
    async with cache(folder) as (second, metrics):
        assert await second.get(probe_key(1)) == probe_entry(1)
        assert await second.get(probe_key(2)) is None
        assert counted(metrics, 'edge_cache_answers_total{outcome="hit"') == 1
        assert counted(metrics, "edge_cache_bytes") > 30_000


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "no block": lambda data: data[:100],
    "cut off": lambda data: data[:-1],
    "longer": lambda data: data + b"x",
    "a bit of the body": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "a bit of the type": lambda data: data.replace(b"image/webp", b"image/weap"),
    "zeros": lambda data: bytes(len(data)),
    "another's": lambda data: data.replace(probe_key(1).encode(), probe_key(2).encode()),
    "a pickle": pickle.dumps,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_file_is_a_miss_and_made_again(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    async with cache(tmp_path / "cache") as (held, metrics):
        await held.store(probe_key(1), probe_entry(1))
        place = only_file(tmp_path)
        place.write_bytes(damage(place.read_bytes()))
        assert await held.get(probe_key(1)) is None
        assert counted(metrics, 'edge_cache_answers_total{outcome="damaged"') == 1
        await held.store(probe_key(1), probe_entry(1))
        assert await held.get(probe_key(1)) == probe_entry(1)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_at_once_there_is_what_is_sound_and_nothing_is_said_of_the_rest(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    async with cache(tmp_path / "cache") as (held, metrics):
        assert held.get_nowait(probe_key(1)) is None
        await held.store(probe_key(1), probe_entry(1))
        assert held.get_nowait(probe_key(1)) == probe_entry(1)
        place = only_file(tmp_path)
        place.write_bytes(damage(place.read_bytes()))
        assert held.get_nowait(probe_key(1)) is None
        assert counted(metrics, "edge_cache_answers_total") == 1
        shutil.rmtree(tmp_path / "cache")
        assert held.get_nowait(probe_key(1)) is None


async def test_a_long_value_is_read_in_a_thread(tmp_path: Path) -> None:
    long = CacheEntry("image/webp", bytes(NOWAIT_MAX_BYTES))
    async with cache(tmp_path / "cache") as (held, metrics):
        await held.store(probe_key(1), long)
        assert held.get_nowait(probe_key(1)) is None
        assert await held.get(probe_key(1)) == long
        assert counted(metrics, 'edge_cache_answers_total{outcome="hit",read="thread"}') == 1


async def test_at_once_there_is_nothing_that_another_server_may_send(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache", handing_over=True) as (held, _):
        await held.store(probe_key(1), probe_entry(1))
        assert held.get_nowait(probe_key(1)) is None
        assert await held.get(probe_key(1)) == probe_entry(1)


async def test_a_file_under_the_name_of_another_is_not_served(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache") as (held, _):
        await held.store(probe_key(1), probe_entry(1))
        first = only_file(tmp_path)
        data = first.read_bytes()
        first.unlink()
        await held.store(probe_key(2), probe_entry(2))
        only_file(tmp_path).write_bytes(data)
        assert await held.get(probe_key(2)) is None


async def test_deleted_files_and_ruined_books_cost_misses(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    async with cache(folder) as (held, _):
        await held.store(probe_key(1), probe_entry(1))
        only_file(folder).unlink()
        assert await held.get(probe_key(1)) is None
        await held.store(probe_key(1), probe_entry(1))
        assert await held.get(probe_key(1)) == probe_entry(1)
    (folder / "cache.db").write_bytes(b"no database at all" * 1000)
    async with cache(folder) as (held, _):
        await held.store(probe_key(2), probe_entry(2))
        assert await held.get(probe_key(2)) == probe_entry(2)
        assert await held.get(probe_key(1)) is None
    shutil.rmtree(folder)
    async with cache(folder) as (held, _):
        assert await held.get(probe_key(2)) is None


async def test_a_folder_that_goes_away_meanwhile_costs_misses(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache") as (held, _):
        await held.store(probe_key(1), probe_entry(1))
        shutil.rmtree(tmp_path / "cache")
        assert await held.get(probe_key(1)) is None
        await held.store(probe_key(2), probe_entry(2))


async def test_a_folder_that_cannot_be_made_costs_misses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with cache(tmp_path / "file" / "cache") as (held, metrics):
        await held.store(probe_key(1), probe_entry(1))
        assert await held.get(probe_key(1)) is None
        assert counted(metrics, 'edge_cache_writes_total{outcome="failed"}') == 1


async def test_the_size_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    limit = 1_000_000
    async with cache(tmp_path / "cache", limit) as (held, metrics):
        for number in range(100):
            await held.store(probe_key(number), probe_entry(number))
            assert sum(file.stat().st_size for file in tmp_path.rglob("*.val")) <= limit
        assert await held.get(probe_key(0)) is None
        assert await held.get(probe_key(99)) == probe_entry(99)
        gone, left = counted(metrics, "edge_cache_evictions_total"), len([*tmp_path.rglob("*.val")])
        assert gone + left == 100
        assert counted(metrics, "edge_cache_evict_seconds_count") > 0


async def test_only_entries_under_strings_are_kept_and_no_pickle_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    async with cache(folder) as (held, metrics):
        await held.store(probe_key(1), {"not": "an entry"})  # type: ignore[arg-type]
        assert counted(metrics, 'edge_cache_writes_total{outcome="failed"}') == 1
        await held.store(probe_key(1), probe_entry(1))
    marker = tmp_path / "was-run"

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(marker),)

    with closing(sqlite3.connect(folder / "cache.db")) as books, books:
        books.execute("UPDATE Cache SET mode = 4, value = ?, filename = NULL", (pickle.dumps(Bomb()),))
    async with cache(folder) as (held, _):
        assert await held.get(probe_key(1)) == probe_entry(1)
        await held.store(probe_key(1), probe_entry(1))
    assert not marker.exists()


def unwritten(answer: dict[str, Any]) -> int:
    """Writes that a probe says have failed."""
    return sum(int(line.split()[-1]) for line in answer["metrics"] if 'outcome="failed"' in line)


async def test_processes_share_a_folder(tmp_path: Path) -> None:
    folder = str(tmp_path / "cache")
    answers = await asyncio.gather(*(probed(*PROBE, folder, "0", "60") for _ in range(3)))
    # Who waits too long for another process's writing goes without, and says so.
    assert all(answer["after"] + unwritten(answer) >= 60 for answer in answers), answers
    assert (await probed(*PROBE, folder, "0", "60"))["before"] == 60


async def test_a_full_disk_costs_misses(tmp_path: Path) -> None:
    answer = await on_a_tmpfs(tmp_path, f"exec {' '.join(PROBE)} {tmp_path}/disk/cache 0 60")
    assert answer["before"] == 0
    assert 1 <= answer["after"] < 60
    assert any('writes_total{outcome="failed"}' in line for line in answer["metrics"])


async def test_a_read_only_disk_is_read_from(tmp_path: Path) -> None:
    probe = f"{' '.join(PROBE)} {tmp_path}/disk/cache"
    script = f"{probe} 0 10 >/dev/null && mount -o remount,ro {tmp_path}/disk && exec {probe} 5 10"
    answer = await on_a_tmpfs(tmp_path, script)
    assert (answer["before"], answer["after"]) == (5, 5)
    assert any('writes_total{outcome="failed"} 5' in line for line in answer["metrics"])


async def probed(*argv: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


async def on_a_tmpfs(folder: Path, script: str) -> dict[str, Any]:
    """What the script says where `disk` in the folder is a file system of 1 MB."""
    unshare = shutil.which("unshare") or skip_or_fail("unshare", "sudo apt-get install util-linux")
    (folder / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs {folder}/disk && "
    return await probed(unshare, "--mount", "--map-root-user", "sh", "-c", mount + script)


async def test_the_command_tells_and_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TAGIFY_EDGE_CACHE_DIR", str(folder))
    assert command(["stats"]) == 0
    assert "no cache found" in capsys.readouterr().out
    async with cache(folder) as (held, _):
        for number in range(3):
            await held.store(probe_key(number), probe_entry(number))
    assert command(["stats"]) == 0
    assert "3 variants, 0.1 MB of at most 10000 MB" in capsys.readouterr().out
    assert command(["clear"]) == 0
    assert "3 variants removed" in capsys.readouterr().out
    assert [*folder.rglob("*.val")] == []
    assert command(["burn"]) == 2


async def tagify(*argv: str, **settings: str) -> tuple[int, str]:
    """Status and output of the command as a user types it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tagify.cli.main", *argv,
        env={**os.environ, **settings}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("handing_over", [False, True])
async def test_the_command_line_tells_and_clears(tmp_path: Path, handing_over: bool) -> None:
    folder = tmp_path / "cache"
    settings = {
        "TAGIFY_EDGE_CACHE_DIR": str(folder),
        "TAGIFY_EDGE_X_ACCEL": str(handing_over),
        "XDG_DATA_HOME": str(tmp_path),
    }
    async with cache(folder, handing_over=handing_over) as (held, _):
        for number in range(2):
            await held.store(probe_key(number), probe_entry(number))
    assert await tagify("cache", "stats", **settings) == (
        0,
        f"{folder}: 2 variants, 0.1 MB of at most 10000 MB\n",
    )
    status, said = await tagify("cache", "clear", **settings)
    assert (status, "2 variants removed" in said) == (0, True)
    assert not [place for place in folder.rglob("*.*") if place.suffix in (".val", ".body", ".block")]
    assert "0 variants" in (await tagify("cache", "stats", **settings))[1]
    assert (await tagify("cache", "burn", **settings))[0] == 2
    assert (await tagify("cache", "stats", **settings, TAGIFY_EDGE_CACHE_BYTES="none"))[0] == 2


async def test_the_command_line_finds_the_cache_of_a_data_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cache" / "edge"
    save_profile(tmp_path / "data", {"TAGIFY_EDGE_CACHE_DIR": str(folder)})
    async with cache(folder) as (held, _):
        await held.store(probe_key(1), probe_entry(1))
    status, said = await tagify("cache", "stats", "--data-dir", str(tmp_path / "data"))
    assert (status, said.startswith(f"{folder}: 1 variants")) == (0, True)


async def test_the_keys_of_entries_have_an_end(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache") as (held, metrics):
        await held.store("k" * 300, CacheEntry("image/webp", b"x"))
        assert counted(metrics, 'edge_cache_writes_total{outcome="failed"}') == 1
        assert await held.get("k" * 300) is None

"""The disk cache on real files: persistent, bounded, shared by processes, and never an error for a client."""

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
    folder: Path, size_bytes: int = 100_000_000, *, x_accel: bool = False
) -> AsyncIterator[tuple[DiskCache, Metrics]]:
    metrics = Metrics()
    opened = DiskCache(folder, size_bytes, metrics, x_accel=x_accel)
    await opened.open()
    try:
        yield opened, metrics
    finally:
        await opened.close()


def counted(metrics: Metrics, name: str) -> float:
    lines = metrics.exposition()[0].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def only_file(folder: Path) -> Path:
    (found,) = folder.rglob("*.val")
    return found


async def test_entries_survive_a_restart(tmp_path: Path) -> None:
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
    "short header": lambda data: data[:100],
    "truncated": lambda data: data[:-1],
    "longer": lambda data: data + b"x",
    "flipped bit in the body": lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:],
    "changed media type": lambda data: data.replace(b"image/webp", b"image/weap"),
    "zeros": lambda data: bytes(len(data)),
    "another key": lambda data: data.replace(probe_key(1).encode(), probe_key(2).encode()),
    "a pickle": pickle.dumps,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_corrupt_file_is_a_miss_and_can_be_stored_again(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    async with cache(tmp_path / "cache") as (disk_cache, metrics):
        await disk_cache.store(probe_key(1), probe_entry(1))
        path = only_file(tmp_path)
        path.write_bytes(damage(path.read_bytes()))
        assert await disk_cache.get(probe_key(1)) is None
        assert counted(metrics, 'edge_cache_answers_total{outcome="damaged"') == 1
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert await disk_cache.get(probe_key(1)) == probe_entry(1)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_get_nowait_returns_intact_entries_and_counts_hits_only(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    async with cache(tmp_path / "cache") as (disk_cache, metrics):
        assert disk_cache.get_nowait(probe_key(1)) is None
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert disk_cache.get_nowait(probe_key(1)) == probe_entry(1)
        path = only_file(tmp_path)
        path.write_bytes(damage(path.read_bytes()))
        assert disk_cache.get_nowait(probe_key(1)) is None
        assert counted(metrics, "edge_cache_answers_total") == 1
        shutil.rmtree(tmp_path / "cache")
        assert disk_cache.get_nowait(probe_key(1)) is None


async def test_long_entry_is_read_in_a_thread(tmp_path: Path) -> None:
    long = CacheEntry("image/webp", bytes(NOWAIT_MAX_BYTES))
    async with cache(tmp_path / "cache") as (disk_cache, metrics):
        await disk_cache.store(probe_key(1), long)
        assert disk_cache.get_nowait(probe_key(1)) is None
        assert await disk_cache.get(probe_key(1)) == long
        assert counted(metrics, 'edge_cache_answers_total{outcome="hit",read="thread"}') == 1


async def test_get_nowait_returns_nothing_with_x_accel(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache", x_accel=True) as (disk_cache, _):
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert disk_cache.get_nowait(probe_key(1)) is None
        assert await disk_cache.get(probe_key(1)) == probe_entry(1)


async def test_misplaced_file_is_not_served(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache") as (disk_cache, _):
        await disk_cache.store(probe_key(1), probe_entry(1))
        first = only_file(tmp_path)
        data = first.read_bytes()
        first.unlink()
        await disk_cache.store(probe_key(2), probe_entry(2))
        only_file(tmp_path).write_bytes(data)
        assert await disk_cache.get(probe_key(2)) is None


async def test_deleted_files_and_corrupt_index_are_misses(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    async with cache(folder) as (disk_cache, _):
        await disk_cache.store(probe_key(1), probe_entry(1))
        only_file(folder).unlink()
        assert await disk_cache.get(probe_key(1)) is None
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert await disk_cache.get(probe_key(1)) == probe_entry(1)
    (folder / "cache.db").write_bytes(b"no database at all" * 1000)
    async with cache(folder) as (disk_cache, _):
        await disk_cache.store(probe_key(2), probe_entry(2))
        assert await disk_cache.get(probe_key(2)) == probe_entry(2)
        assert await disk_cache.get(probe_key(1)) is None
    shutil.rmtree(folder)
    async with cache(folder) as (disk_cache, _):
        assert await disk_cache.get(probe_key(2)) is None


async def test_directory_removed_while_open_gives_misses(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache") as (disk_cache, _):
        await disk_cache.store(probe_key(1), probe_entry(1))
        shutil.rmtree(tmp_path / "cache")
        assert await disk_cache.get(probe_key(1)) is None
        await disk_cache.store(probe_key(2), probe_entry(2))


async def test_directory_that_cannot_be_created_gives_misses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with cache(tmp_path / "file" / "cache") as (disk_cache, metrics):
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert await disk_cache.get(probe_key(1)) is None
        assert counted(metrics, 'edge_cache_writes_total{outcome="failed"}') == 1


async def test_size_is_bounded_and_eviction_is_fifo(tmp_path: Path) -> None:
    limit = 1_000_000
    async with cache(tmp_path / "cache", limit) as (disk_cache, metrics):
        for number in range(100):
            await disk_cache.store(probe_key(number), probe_entry(number))
            assert sum(file.stat().st_size for file in tmp_path.rglob("*.val")) <= limit
        assert await disk_cache.get(probe_key(0)) is None
        assert await disk_cache.get(probe_key(99)) == probe_entry(99)
        evicted, remaining = counted(metrics, "edge_cache_evictions_total"), len([*tmp_path.rglob("*.val")])
        assert evicted + remaining == 100
        assert counted(metrics, "edge_cache_evict_seconds_count") > 0


async def test_only_cache_entries_are_stored_and_no_pickle_is_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    async with cache(folder) as (disk_cache, metrics):
        await disk_cache.store(probe_key(1), {"not": "an entry"})  # type: ignore[arg-type]
        assert counted(metrics, 'edge_cache_writes_total{outcome="failed"}') == 1
        await disk_cache.store(probe_key(1), probe_entry(1))
    marker = tmp_path / "was-run"

    class Bomb:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(marker),)

    with closing(sqlite3.connect(folder / "cache.db")) as connection, connection:
        connection.execute("UPDATE Cache SET mode = 4, value = ?, filename = NULL", (pickle.dumps(Bomb()),))
    async with cache(folder) as (disk_cache, _):
        assert await disk_cache.get(probe_key(1)) == probe_entry(1)
        await disk_cache.store(probe_key(1), probe_entry(1))
    assert not marker.exists()


def failed_writes(result: dict[str, Any]) -> int:
    """Failed writes counted by a probe."""
    return sum(int(line.split()[-1]) for line in result["metrics"] if 'outcome="failed"' in line)


async def test_processes_share_a_directory(tmp_path: Path) -> None:
    folder = str(tmp_path / "cache")
    results = await asyncio.gather(*(run_probe(*PROBE, folder, "0", "60") for _ in range(3)))
    # A process that times out on the lock of another skips the write, and counts it.
    assert all(result["after"] + failed_writes(result) >= 60 for result in results), results
    assert (await run_probe(*PROBE, folder, "0", "60"))["before"] == 60


async def test_full_disk_gives_misses(tmp_path: Path) -> None:
    result = await run_on_tmpfs(tmp_path, f"exec {' '.join(PROBE)} {tmp_path}/disk/cache 0 60")
    assert result["before"] == 0
    assert 1 <= result["after"] < 60
    assert any('writes_total{outcome="failed"}' in line for line in result["metrics"])


async def test_read_only_disk_is_still_read(tmp_path: Path) -> None:
    probe = f"{' '.join(PROBE)} {tmp_path}/disk/cache"
    script = f"{probe} 0 10 >/dev/null && mount -o remount,ro {tmp_path}/disk && exec {probe} 5 10"
    result = await run_on_tmpfs(tmp_path, script)
    assert (result["before"], result["after"]) == (5, 5)
    assert any('writes_total{outcome="failed"} 5' in line for line in result["metrics"])


async def run_probe(*argv: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    result: dict[str, Any] = json.loads(out)
    return result


async def run_on_tmpfs(folder: Path, script: str) -> dict[str, Any]:
    """The output of a script for which `disk` in the folder is a file system of 1 MB."""
    unshare = shutil.which("unshare") or skip_or_fail("unshare", "sudo apt-get install util-linux")
    (folder / "disk").mkdir()
    mount = f"mount -t tmpfs -o size=1m tmpfs {folder}/disk && "
    return await run_probe(unshare, "--mount", "--map-root-user", "sh", "-c", mount + script)


async def test_module_command_prints_stats_and_clears(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "cache"
    monkeypatch.setenv("TAGIFY_EDGE_CACHE_DIR", str(folder))
    assert command(["stats"]) == 0
    assert "no cache found" in capsys.readouterr().out
    async with cache(folder) as (disk_cache, _):
        for number in range(3):
            await disk_cache.store(probe_key(number), probe_entry(number))
    assert command(["stats"]) == 0
    assert "3 variants, 0.1 MB of at most 10000 MB" in capsys.readouterr().out
    assert command(["clear"]) == 0
    assert "3 variants removed" in capsys.readouterr().out
    assert [*folder.rglob("*.val")] == []
    assert command(["burn"]) == 2


async def tagify(*argv: str, **settings: str) -> tuple[int, str]:
    """Exit status and output of the CLI."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tagify.cli.main", *argv,
        env={**os.environ, **settings}, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode or 0, out.decode()


@pytest.mark.parametrize("x_accel", [False, True])
async def test_cli_prints_stats_and_clears(tmp_path: Path, x_accel: bool) -> None:
    folder = tmp_path / "cache"
    settings = {
        "TAGIFY_EDGE_CACHE_DIR": str(folder),
        "TAGIFY_EDGE_X_ACCEL": str(x_accel),
        "XDG_DATA_HOME": str(tmp_path),
    }
    async with cache(folder, x_accel=x_accel) as (disk_cache, _):
        for number in range(2):
            await disk_cache.store(probe_key(number), probe_entry(number))
    assert await tagify("cache", "stats", **settings) == (
        0,
        f"{folder}: 2 variants, 0.1 MB of at most 10000 MB\n",
    )
    status, output = await tagify("cache", "clear", **settings)
    assert (status, "2 variants removed" in output) == (0, True)
    assert not [path for path in folder.rglob("*.*") if path.suffix in (".val", ".body", ".block")]
    assert "0 variants" in (await tagify("cache", "stats", **settings))[1]
    assert (await tagify("cache", "burn", **settings))[0] == 2
    assert (await tagify("cache", "stats", **settings, TAGIFY_EDGE_CACHE_BYTES="none"))[0] == 2


async def test_cli_uses_the_cache_of_a_data_directory(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "cache" / "edge"
    save_profile(tmp_path / "data", {"TAGIFY_EDGE_CACHE_DIR": str(folder)})
    async with cache(folder) as (disk_cache, _):
        await disk_cache.store(probe_key(1), probe_entry(1))
    status, output = await tagify("cache", "stats", "--data-dir", str(tmp_path / "data"))
    assert (status, output.startswith(f"{folder}: 1 variants")) == (0, True)


async def test_key_that_is_too_long_is_not_stored(tmp_path: Path) -> None:
    async with cache(tmp_path / "cache") as (disk_cache, metrics):
        await disk_cache.store("k" * 300, CacheEntry("image/webp", b"x"))
        assert counted(metrics, 'edge_cache_writes_total{outcome="failed"}') == 1
        assert await disk_cache.get("k" * 300) is None

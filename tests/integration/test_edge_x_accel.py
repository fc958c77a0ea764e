"""The disk cache with X-Accel-Redirect: NGINX gets verified bodies only; header and body are removed together."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.cache import CacheEntry, DiskCache
from edge.cache.x_accel_files import VERIFIED_CAPACITY, XAccelFiles
from tagify.metrics import Metrics
from tests.support.cache_probe import probe_entry, probe_key


@asynccontextmanager
async def cache(
    folder: Path, *, size_bytes: int = 100_000_000, x_accel: bool = True
) -> AsyncIterator[DiskCache]:
    opened = DiskCache(folder, size_bytes, Metrics(), x_accel=x_accel)
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


def body_of(folder: Path) -> Path:
    (found,) = folder.rglob("*.body")
    return found


async def test_body_is_given_to_nginx_only_after_it_was_read(tmp_path: Path) -> None:
    for _ in range(2):  # before and after a restart
        async with cache(tmp_path) as disk_cache:
            await disk_cache.store(probe_key(1), probe_entry(1))
            assert disk_cache.x_accel_file(probe_key(1)) is None
            assert await disk_cache.get(probe_key(1)) == probe_entry(1)
            name, length = disk_cache.x_accel_file(probe_key(1)) or ("", 0)
            assert (tmp_path / name).read_bytes() == probe_entry(1).body
            assert length == len(probe_entry(1).body)
            assert disk_cache.x_accel_file(probe_key(2)) is None


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "body of zeros": lambda body, header: body.write_bytes(bytes(30_000)),
    "truncated body": lambda body, header: body.write_bytes(body.read_bytes()[:-1]),
    "header of another key": lambda body, header: header.write_bytes(
        header.read_bytes().replace(probe_key(1).encode(), probe_key(2).encode())
    ),
    "no header": lambda body, header: header.unlink(),
    "empty header": lambda body, header: header.write_bytes(b""),
    "no body": lambda body, header: body.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_corrupt_entry_is_a_miss_and_can_be_stored_again(
    tmp_path: Path, damage: Callable[[Path, Path], object]
) -> None:
    async with cache(tmp_path) as disk_cache:
        await disk_cache.store(probe_key(1), probe_entry(1))
    body = body_of(tmp_path)
    damage(body, body.with_name(body.name + ".block"))
    async with cache(tmp_path) as disk_cache:
        assert await disk_cache.get(probe_key(1)) is None
        assert disk_cache.x_accel_file(probe_key(1)) is None
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert await disk_cache.get(probe_key(1)) == probe_entry(1)
        assert disk_cache.x_accel_file(probe_key(1)) is not None


async def test_replaced_body_is_not_given_to_nginx(tmp_path: Path) -> None:
    async with cache(tmp_path) as disk_cache:
        await disk_cache.store(probe_key(1), probe_entry(1))
        assert await disk_cache.get(probe_key(1)) == probe_entry(1)
        body = body_of(tmp_path)
        other = body.with_name("other")
        other.write_bytes(random.Random(7).randbytes(30_000))
        other.replace(body)
        assert disk_cache.x_accel_file(probe_key(1)) is None
        assert await disk_cache.get(probe_key(1)) is None


async def test_eviction_removes_body_and_header(tmp_path: Path) -> None:
    async with cache(tmp_path, size_bytes=1_000_000) as disk_cache:
        for number in range(60):
            await disk_cache.store(probe_key(number), probe_entry(number))
        assert await disk_cache.get(probe_key(0)) is None
        assert await disk_cache.get(probe_key(59)) == probe_entry(59)
        bodies, headers = [*tmp_path.rglob("*.body")], [*tmp_path.rglob("*.block")]
        assert {path.name + ".block" for path in bodies} == {path.name for path in headers}
        assert len(bodies) < 40


async def test_x_accel_setting_may_change_for_one_directory(tmp_path: Path) -> None:
    for x_accel in (False, True, False):
        async with cache(tmp_path, x_accel=x_accel) as disk_cache:
            assert await disk_cache.get(probe_key(1)) is None
            await disk_cache.store(probe_key(1), probe_entry(1))
            assert await disk_cache.get(probe_key(1)) == probe_entry(1)
            assert (disk_cache.x_accel_file(probe_key(1)) is not None) is x_accel
            assert len([*tmp_path.rglob("*.val"), *tmp_path.rglob("*.body")]) == 1
            assert tmp_path.stat().st_mode & 0o777 == (0o710 if x_accel else 0o700)


def test_remembered_verifications_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.cache.x_accel_files.VERIFIED_CAPACITY", 10)
    bodies = XAccelFiles(tmp_path)
    for number in range(25):
        bodies.write(probe_key(number), CacheEntry("image/webp", b"x" * number))
        assert bodies.read(probe_key(number), wait=True) is not None
    assert (
        0
        < sum(bodies.verified_file(probe_key(number)) is not None for number in range(25))
        <= 10
        < VERIFIED_CAPACITY
    )

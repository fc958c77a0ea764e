"""Bodies of the disk cache in files of their own: named only once they were found sound, gone as one."""

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
    folder: Path, *, size_bytes: int = 100_000_000, handing_over: bool = True
) -> AsyncIterator[DiskCache]:
    made = DiskCache(folder, size_bytes, Metrics(), x_accel=handing_over)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def body_of(folder: Path) -> Path:
    (found,) = folder.rglob("*.body")
    return found


async def test_a_body_is_named_once_it_was_read(tmp_path: Path) -> None:
    for _ in range(2):  # before and after a restart
        async with cache(tmp_path) as held:
            await held.store(probe_key(1), probe_entry(1))
            assert held.x_accel_file(probe_key(1)) is None
            assert await held.get(probe_key(1)) == probe_entry(1)
            name, length = held.x_accel_file(probe_key(1)) or ("", 0)
            assert (tmp_path / name).read_bytes() == probe_entry(1).body
            assert length == len(probe_entry(1).body)
            assert held.x_accel_file(probe_key(2)) is None


DAMAGES: dict[str, Callable[[Path, Path], object]] = {
    "a body of zeros": lambda body, block: body.write_bytes(bytes(30_000)),
    "a body cut off": lambda body, block: body.write_bytes(body.read_bytes()[:-1]),
    "another's block": lambda body, block: block.write_bytes(
        block.read_bytes().replace(probe_key(1).encode(), probe_key(2).encode())
    ),
    "no block": lambda body, block: block.unlink(),
    "an empty block": lambda body, block: block.write_bytes(b""),
    "no body": lambda body, block: body.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_what_is_damaged_is_a_miss_and_made_again(
    tmp_path: Path, damage: Callable[[Path, Path], object]
) -> None:
    async with cache(tmp_path) as held:
        await held.store(probe_key(1), probe_entry(1))
    body = body_of(tmp_path)
    damage(body, body.with_name(body.name + ".block"))
    async with cache(tmp_path) as held:
        assert await held.get(probe_key(1)) is None
        assert held.x_accel_file(probe_key(1)) is None
        await held.store(probe_key(1), probe_entry(1))
        assert await held.get(probe_key(1)) == probe_entry(1)
        assert held.x_accel_file(probe_key(1)) is not None


async def test_another_file_under_its_name_is_not_named(tmp_path: Path) -> None:
    async with cache(tmp_path) as held:
        await held.store(probe_key(1), probe_entry(1))
        assert await held.get(probe_key(1)) == probe_entry(1)
        body = body_of(tmp_path)
        other = body.with_name("other")
        other.write_bytes(random.Random(7).randbytes(30_000))
        other.replace(body)
        assert held.x_accel_file(probe_key(1)) is None
        assert await held.get(probe_key(1)) is None


async def test_what_is_evicted_leaves_no_file(tmp_path: Path) -> None:
    async with cache(tmp_path, size_bytes=1_000_000) as held:
        for number in range(60):
            await held.store(probe_key(number), probe_entry(number))
        assert await held.get(probe_key(0)) is None
        assert await held.get(probe_key(59)) == probe_entry(59)
        bodies, blocks = [*tmp_path.rglob("*.body")], [*tmp_path.rglob("*.block")]
        assert {place.name + ".block" for place in bodies} == {place.name for place in blocks}
        assert len(bodies) < 40


async def test_the_setting_may_be_changed_over_one_folder(tmp_path: Path) -> None:
    for handing_over in (False, True, False):
        async with cache(tmp_path, handing_over=handing_over) as held:
            assert await held.get(probe_key(1)) is None
            await held.store(probe_key(1), probe_entry(1))
            assert await held.get(probe_key(1)) == probe_entry(1)
            assert (held.x_accel_file(probe_key(1)) is not None) is handing_over
            assert len([*tmp_path.rglob("*.val"), *tmp_path.rglob("*.body")]) == 1
            assert tmp_path.stat().st_mode & 0o777 == (0o710 if handing_over else 0o700)


def test_what_is_known_of_files_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

"""Leases: one daemon writes a library, another waits, and one that lost its lease writes nothing."""

import subprocess
from functools import partial

import pytest

from ingest import lease
from tagify.catalog import Catalog, ImageFilter, LeaseLost, UpsertImage
from tagify.model import (
    Content,
    FileFacts,
    Library,
    LibraryState,
    PendingApproval,
    Picture,
    RootIdentity,
    RootProbe,
)
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until


def store(library: Library) -> UpsertImage:
    picture = Picture("image/jpeg", 1, 1, b"")
    return UpsertImage(library.id, FileFacts("a.jpg", 1, 1, 1), Content("0" * 64), picture)


async def test_a_lease_has_one_owner_until_it_expires_or_is_released(
    catalog: Catalog, library: Library
) -> None:
    first = await catalog.leases.acquire(library.id, "a", 30)
    assert first.owner == "a"
    assert await catalog.leases.acquire(library.id, "b", 30) == first
    assert await catalog.leases.renew(library.id, first.token, 0)
    second = await catalog.leases.acquire(library.id, "b", 30)
    assert (second.owner, second.token > first.token) == ("b", True)
    assert not await catalog.leases.renew(library.id, first.token, 30)
    await catalog.leases.release(library.id, "a")
    assert await catalog.leases.acquire(library.id, "a", 30) == second
    await catalog.leases.release(library.id, "b")
    assert (await catalog.leases.acquire(library.id, "a", 30)).owner == "a"


async def test_a_batch_under_a_lost_lease_is_rejected(catalog: Catalog, library: Library) -> None:
    old = await catalog.leases.acquire(library.id, "a", 0)
    new = await catalog.leases.acquire(library.id, "b", 30)
    with pytest.raises(LeaseLost):
        await catalog.images.write([store(library)], {library.id: old.token})
    assert not await catalog.listing.newest(ImageFilter(), limit=1)
    await catalog.images.write([store(library)], {library.id: new.token})
    assert await catalog.listing.newest(ImageFilter(), limit=1)


async def test_a_status_under_a_lost_lease_is_not_written(catalog: Catalog, library: Library) -> None:
    tokens = [(await catalog.leases.acquire(library.id, owner, 0)).token for owner in ("a", "b")]
    old, new = (catalog.library_status(library.id, partial(int, token)) for token in tokens)
    await old.fence_older_leases()
    await old.begin_scan()
    await new.fence_older_leases()
    await new.report_scan_progress(10, 5)
    await old.fence_older_leases()
    await old.report_scan_progress(3, 3)
    await old.set_state(LibraryState.SUSPENDED, "it was away, long ago")
    await old.set_pending_deletions(
        PendingApproval(RootProbe(RootIdentity(1, 2, marked=True), is_empty=False), 7)
    )
    await old.end_scan()
    current = await catalog.libraries.get(library.id)
    assert current is not None
    assert (current.scanning, current.scan_total, current.scan_done) == (True, 10, 5)
    assert (current.state, current.pending_deletions) == (LibraryState.ACTIVE, 0)
    await new.end_scan()
    current = await catalog.libraries.get(library.id)
    assert current is not None and not current.scanning and current.last_scanned


async def test_the_lease_of_a_dead_process_is_taken_over_at_once(catalog: Catalog, library: Library) -> None:
    child = subprocess.Popen(["sleep", "60"])
    host, _, _, number = lease.new_owner_id().split("/")
    owner = f"{host}/{child.pid}/{lease.process_start_time(child.pid)}/{number}"
    try:
        held = await catalog.leases.acquire(library.id, owner, 600)
        assert not lease.is_dead_process(owner)
    finally:
        child.kill()
        child.wait()
    assert lease.is_dead_process(owner)
    assert await lease.acquire(catalog, library, lease.new_owner_id()) > held.token


@pytest.mark.parametrize("owner", ["", "/", "a/b/c", "a/x/1/b", "a/\u00b2/1/b", "a/b/c/d/e"])
def test_a_free_lease_and_an_unknown_owner_are_no_dead_process(owner: str) -> None:
    assert not lease.is_dead_process(owner)


async def test_a_second_daemon_waits_and_takes_over(
    harness: IngestHarness, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (harness.root / "a.jpg").write_bytes(pictures.jpeg())
    monkeypatch.setattr("ingest.lease.ACQUIRE_INTERVAL_S", 0.05)
    async with harness.running_ingest():
        await harness.wait_for_images("a.jpg")
        second = harness.running_ingest()
        await second.__aenter__()
        await until(lambda: _has_logged(caplog, "another daemon holds the lease of this library"))
        (harness.root / "b.jpg").write_bytes(pictures.jpeg(seed=2))
        await harness.wait_for_images("a.jpg", "b.jpg")
    try:
        (harness.root / "c.jpg").write_bytes(pictures.jpeg(seed=3))
        await harness.wait_for_images("a.jpg", "b.jpg", "c.jpg")
    finally:
        await second.__aexit__(None, None, None)


async def _has_logged(caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return text in caplog.text

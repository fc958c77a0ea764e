"""The state of libraries in this process: one record for each, refreshed by the poll."""

import asyncio
from dataclasses import replace
from typing import Any, cast

from ingest.lease import NOT_HELD, HeldLeases
from ingest.library_state import LibraryRegistry
from tagify.catalog import Catalog, LibraryStatusWriter
from tagify.model import Library, LibraryId, LibraryState

ID = LibraryId("0" * 24)
LIBRARY = Library(ID, "Test", "/srv/test")


class FakeStatus:
    async def set_state(self, state: LibraryState, reason: str, pending: object) -> None:
        """Accept the write."""


class FakeCatalog:
    def library_status(self, library_id: LibraryId, token: Any) -> LibraryStatusWriter:
        return cast("LibraryStatusWriter", FakeStatus())


def registry() -> LibraryRegistry:
    made = LibraryRegistry(cast("Catalog", FakeCatalog()), HeldLeases())
    made.refresh([LIBRARY])
    return made


async def is_scan_requested(made: LibraryRegistry) -> bool:
    waiting = asyncio.ensure_future(made.record(ID).scan_requests.wait(60))
    await asyncio.sleep(0.01)
    requested = waiting.done()
    waiting.cancel()
    return requested


async def test_a_new_rescan_request_is_served_once() -> None:
    made = registry()
    made.refresh([LIBRARY])
    assert not await is_scan_requested(made)
    made.refresh([replace(LIBRARY, rescan_requested=1)])
    assert await is_scan_requested(made)
    made.refresh([replace(LIBRARY, rescan_requested=1)])
    assert not await is_scan_requested(made)


async def test_the_end_of_a_suspension_requests_a_scan() -> None:
    made = registry()
    await made.record(ID).save_state(LibraryState.SUSPENDED, "no folder", None)
    suspended = made.get(ID)
    assert suspended is not None
    assert (suspended.state, suspended.scan_error) == (LibraryState.SUSPENDED, "no folder")
    made.refresh([LIBRARY])
    assert await is_scan_requested(made)


def test_a_deleted_library_has_no_record() -> None:
    made = registry()
    assert made.get(ID) == LIBRARY
    made.refresh([])
    assert made.get(ID) is None


def test_a_lease_that_is_not_held_has_a_token_that_no_lease_has() -> None:
    leases = HeldLeases()
    leases.add(ID, 7)
    assert leases.fences([ID]) == {ID: 7}
    leases.remove(ID)
    assert leases.fences([ID]) == {ID: NOT_HELD}

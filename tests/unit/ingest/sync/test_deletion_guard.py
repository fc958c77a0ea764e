"""Mass-deletion guard: what counts, and for what an approval holds."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from ingest.library_state import LibraryRecord
from ingest.sync.deletion_guard import ALWAYS_ALLOWED, WINDOW_S, DeletionGuard
from tagify.model import (
    Approval,
    ImageId,
    Library,
    LibraryId,
    PendingApproval,
    RootIdentity,
    RootProbe,
)

LIBRARY = Library(LibraryId("1" * 24), "Photos", "/srv/photos", indexed_count=100)
ROOT = RootProbe(RootIdentity(1, 2, marked=True), is_empty=False)


class Status:
    """Records what is written to the catalog."""

    def __init__(self) -> None:
        self.pending: list[int] = []
        self.cleared: list[str] = []

    async def set_pending_deletions(self, pending: PendingApproval) -> None:
        self.pending.append(pending.images)

    async def clear_pending_deletions(self) -> None:
        self.pending.append(0)

    async def clear_approval(self, approval_id: str) -> None:
        self.cleared.append(approval_id)


class Guarded:
    """A guard, with a clock and the set of missing images."""

    def __init__(self, library: Library = LIBRARY, *, wait_s: float = 0) -> None:
        self.now = 0.0
        self.missing: set[ImageId] = set()
        self.status = Status()
        self.record = LibraryRecord(library, cast("Any", self.status))
        self.guard = DeletionGuard(
            self.record, still_missing=self.still_missing, wait_s=wait_s, clock=lambda: self.now
        )

    async def still_missing(self, images: Sequence[ImageId]) -> set[ImageId]:
        return self.missing & set(images)

    async def delete(self, first: int, count: int, root: RootProbe = ROOT) -> bool:
        images = [ImageId(f"{number:024x}") for number in range(first, first + count)]
        allowed = await self.guard.may_delete(images, count, root)
        if allowed:
            self.missing |= set(images)
        return allowed


def approved(images: int, root: RootProbe = ROOT) -> Library:
    return replace(LIBRARY, approval=Approval("a", PendingApproval(root, images)))


async def test_images_that_came_back_do_not_count() -> None:
    guarded = Guarded()
    assert await guarded.delete(0, ALWAYS_ALLOWED)
    assert not await guarded.delete(1000, 15)
    guarded.missing -= {ImageId(f"{number:024x}") for number in range(40)}
    assert await guarded.delete(1000, 15)
    assert await guarded.delete(2000, ALWAYS_ALLOWED - 25)
    assert not await guarded.delete(3000, 1)


async def test_a_deletion_held_by_others_is_tried_again_when_they_leave_the_window() -> None:
    guarded = Guarded()
    assert await guarded.delete(0, ALWAYS_ALLOWED)
    guarded.now = 10
    assert not await guarded.delete(1000, 4)
    assert guarded.guard.window_left_s == WINDOW_S - 10
    guarded.now += guarded.guard.window_left_s + 0.1
    assert await guarded.delete(1000, 4)
    assert not await guarded.delete(2000, 60)
    assert guarded.guard.window_left_s is None


async def test_an_approval_holds_for_its_number_and_root() -> None:
    guarded = Guarded(approved(60))
    assert not await guarded.delete(0, 61)
    assert guarded.status.cleared == ["a"]
    assert not await guarded.delete(0, 60)
    for other in (replace(ROOT, is_empty=True), RootProbe(RootIdentity(1, 3, marked=True), is_empty=False)):
        guarded = Guarded(approved(60, other))
        assert not guarded.guard.is_root_approved(ROOT)
        assert not await guarded.delete(0, 60)
        await guarded.guard.revoke_approval_unless_of(ROOT)
        assert guarded.status.cleared == ["a"]


async def test_an_approval_is_used_once() -> None:
    guarded = Guarded(approved(60))
    assert await guarded.delete(0, 40)
    assert not guarded.status.cleared
    await guarded.guard.clear_pending()
    assert guarded.status.cleared == ["a"]
    assert not await guarded.delete(100, 60)


async def test_the_wait_covers_no_more_than_was_reported() -> None:
    since = datetime.now(UTC) - timedelta(seconds=20)
    library = replace(LIBRARY, pending_deletions=60, pending_since=since)
    guarded = Guarded(library, wait_s=10)
    assert not await guarded.delete(0, 90)
    assert await guarded.delete(0, 60)

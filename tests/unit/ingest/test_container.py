"""The pure parts of ingest: names, settling, merging, backoff of the supervisor."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.paths import Exclusions, to_catalog, to_os
from ingest.pipeline.file_reader import FileChanged, VerifiedReader, read_file
from ingest.sync.diff import Added, Removed, Unchanged, diff
from ingest.sync.walk import Unreadable, WalkItem, walk
from ingest.watch.debounce import CLOSED_S, OPEN_FACTOR, Debouncer, EventKind, PathEvent
from tagify.model import CatalogEntry, FileFacts, ImageId, ImageState, LibraryId
from tagify.up.supervisor import HEALTHY_RUN_S, MAX_CRASHES, RestartBackoff


@given(st.binary(max_size=60))
def test_any_name_is_spelt_reversibly(raw: bytes) -> None:
    name = os.fsdecode(raw)
    spelt = to_catalog(name)
    spelt.encode("utf-8")
    assert os.fsencode(to_os(spelt)) == raw


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_names_are_spelt_differently(first: str, second: str) -> None:
    try:
        raw = os.fsencode(first), os.fsencode(second)
    except UnicodeEncodeError:
        return
    assert (to_catalog(os.fsdecode(raw[0])) == to_catalog(os.fsdecode(raw[1]))) == (raw[0] == raw[1])


def test_exclusions_match_any_part_of_a_path() -> None:
    exclusions = Exclusions((".*", "@eaDir", "*.tmp"))
    assert exclusions.matches_path("a/@eaDir/b.jpg")
    assert exclusions.matches_path("a/.hidden/b.jpg")
    assert exclusions.matches_path("b.tmp")
    assert not exclusions.matches_path("a/b.jpg")
    assert not Exclusions(()).matches_path(".a")


def test_a_close_shortens_the_wait_and_an_open_file_lengthens_it() -> None:
    settling = Debouncer(1.0)
    settling.add(PathEvent("open", EventKind.MODIFIED), 0)
    settling.add(PathEvent("new", EventKind.CREATED), 0)
    settling.add(PathEvent("done", EventKind.MODIFIED), 0)
    settling.add(PathEvent("done", EventKind.CLOSED), 0)
    assert settling.pop_quiet(CLOSED_S) == ["done"]
    assert settling.pop_quiet(1.0) == ["new"]
    assert settling.pop_quiet(OPEN_FACTOR - 0.1) == []
    assert settling.pop_quiet(OPEN_FACTOR) == ["open"]
    assert (len(settling), settling.next_due_at()) == (0, None)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(list(EventKind)), st.floats(0, 3)), max_size=30
    )
)
def test_every_path_comes_out_once_and_not_before_it_is_quiet(
    events: list[tuple[str, EventKind, float]],
) -> None:
    settling, now = Debouncer(1.0), 0.0
    last: dict[str, float] = {}
    for path, sign, pause in events:
        now += pause
        for early in settling.pop_quiet(now):
            assert now - last.pop(early) >= CLOSED_S - 1e-9  # 8.2 - 8.0 is a little less than 0.2
        settling.add(PathEvent(path, sign), now)
        last[path] = now
    assert sorted(settling.pop_quiet(now + 100)) == sorted(last)


PATHS = st.lists(st.sampled_from(["a.jpg", "b.jpg", "c/d.jpg", "c/e.jpg", "f.jpg"]), unique=True).map(sorted)


def entry(path: str, size: int) -> CatalogEntry:
    return CatalogEntry(ImageId("0" * 24), LibraryId("0" * 24), FileFacts(path, size, 0, 0), ImageState.READY)


async def stream(items: list[WalkItem]) -> AsyncIterator[WalkItem]:
    for item in items:
        yield item


async def entries(items: list[CatalogEntry]) -> AsyncIterator[CatalogEntry]:
    for item in items:
        yield item


@given(PATHS, PATHS, st.sets(st.sampled_from(["a.jpg", "c/d.jpg"])))
def test_merging_finds_all_that_differs(disk: list[str], catalog: list[str], changed: set[str]) -> None:
    async def differences() -> list[object]:
        found = stream([FileFacts(path, 2 if path in changed else 1, 0, 0) for path in disk])
        return [item async for item in diff(found, entries([entry(path, 1) for path in catalog]))]

    found = asyncio.run(differences())
    arrived = {item.file.path for item in found if isinstance(item, Added)}
    departed = {item.entry.file.path for item in found if isinstance(item, Removed)}
    same = {item.path for item in found if isinstance(item, Unchanged)}
    assert departed == set(catalog) - set(disk)
    assert arrived == (set(disk) - set(catalog)) | (set(disk) & set(catalog) & changed)
    assert same == (set(disk) & set(catalog)) - changed


async def test_nothing_departs_below_a_folder_that_cannot_be_read() -> None:
    found = [
        item
        async for item in diff(
            stream([Unreadable("c", "EIO")]), entries([entry("a.jpg", 1), entry("c/d.jpg", 1)])
        )
    ]
    assert [item.entry.file.path for item in found if isinstance(item, Removed)] == ["a.jpg"]


def test_the_walk_is_in_the_order_of_paths_and_passes_links_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("b/z.jpg", "b.jpg", "b-a/x.jpg", "a/q/r.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "b.jpg")
    with caplog.at_level("INFO"):
        found = [item.path for item in walk(str(tmp_path), "", Exclusions(()))]
    assert f"{tmp_path}/b/loop is a symbolic link to one of its parent folders; skipped" in caplog.text
    assert found == sorted(found) == ["a/q/r.jpg", "b-a/x.jpg", "b.jpg", "b/z.jpg"]


def test_an_upload_that_is_not_what_was_read_is_broken_off(tmp_path: Path) -> None:
    place = tmp_path / "a.jpg"
    place.write_bytes(b"x" * 100)
    reading = read_file(str(place), "a.jpg")
    place.write_bytes(b"y" * 100)
    stream = VerifiedReader(str(place), reading)
    assert stream.read(60) == b"y" * 60
    with pytest.raises(FileChanged):
        stream.read(60)
    stream.close()


def test_restarts_wait_longer_until_they_are_given_up() -> None:
    backoff = RestartBackoff()
    waits = [backoff.next_delay(1) for _ in range(MAX_CRASHES)]
    assert waits == [0.5, 1, 2, 4, None]
    again = RestartBackoff()
    assert [again.next_delay(1), again.next_delay(HEALTHY_RUN_S), again.next_delay(1)] == [0.5, 0.5, 1]


def test_a_link_to_a_folder_is_not_entered_even_when_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.jpg").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    assert list(walk(str(tmp_path), "link", Exclusions(()))) == []
    assert list(walk(str(tmp_path), "there/a.jpg", Exclusions(()))) == []


def test_a_sidecar_settles_with_its_image_as_one() -> None:
    settling = Debouncer(1.0)
    settling.add(PathEvent("one/a.JPG", EventKind.CLOSED), 0)
    settling.add(PathEvent("one/a.xmp", EventKind.MODIFIED), 0.1)
    settling.add(PathEvent("one/b.xmp", EventKind.MODIFIED), 0.1)
    assert settling.pop_quiet(1.0) == []
    settling.add(PathEvent("one/a.xmp", EventKind.CLOSED), 1.5)
    assert settling.pop_quiet(1.6) == []
    assert settling.pop_quiet(0.1 + OPEN_FACTOR) == ["one/a.JPG"]
    settling.add(PathEvent("one/a.JPG", EventKind.CLOSED), 20)
    settling.add(PathEvent("one/a.xmp", EventKind.MODIFIED), 20)
    settling.add(PathEvent("one/a.xmp", EventKind.CLOSED), 20.1)
    assert settling.pop_quiet(20.1 + CLOSED_S) == ["one/a.JPG"]
    assert len(settling) == 0

"""After any sequence of file operations, with lost, doubled and reordered events, catalog equals folder."""

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ingest.watch.debounce import PathEvent
from ingest.watch.event_buffer import EventBuffer
from tagify.model import Image
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

PATHS = ["a.jpg", "b.jpg", "B.jpg", "one/a.jpg", "one/b.jpg", "two/a.jpg", "two/deep/c.jpg"]
FOLDERS = ["one", "two", "two/deep", "three"]
KEEP = "keep.jpg"

path, folder = st.sampled_from(PATHS), st.sampled_from(FOLDERS)
operation = st.one_of(
    st.tuples(st.just("create"), path, path),
    st.tuples(st.just("append"), path, path),
    st.tuples(st.just("delete"), path, path),
    st.tuples(st.just("rename"), path, path),
    st.tuples(st.just("swap"), path, path),
    st.tuples(st.just("copy"), path, path),
    st.tuples(st.just("link"), path, path),
    st.tuples(st.just("symlink"), path, path),
    st.tuples(st.just("rename"), folder, folder),
    st.tuples(st.just("delete"), folder, folder),
)
operations = st.lists(operation, min_size=1, max_size=10)


class Disk:
    """A folder, and the original paths of files that were moved, and not changed, since `begin`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.origin: dict[str, str] = {}
        self._number = itertools.count(1)

    def begin(self) -> None:
        self.origin = {path: path for path in self.files()}

    def files(self) -> dict[str, str]:
        """Each image's path and the hash of its bytes."""
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in self.root.rglob("*.jpg")
            if path.is_file() and not path.is_symlink()
        }

    def apply(self, steps: Sequence[tuple[str, str, str]]) -> None:
        for kind, source, target in steps:
            step: Callable[[str, str], None] = getattr(self, f"_{kind}")
            if kind == "create" or (self.root / source).exists():
                step(source, target)

    def _create(self, path: str, _: str) -> None:
        at = self.root / path
        if at.is_symlink():
            at.unlink()
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(pictures.jpeg(16, 12, seed=next(self._number)))
        self._forget_overwritten(path)

    def _append(self, path: str, _: str) -> None:
        with (self.root / path).open("ab") as stream:
            stream.write(b"more")
        self._forget_links(path)

    def _delete(self, path: str, _: str) -> None:
        at = self.root / path
        if at.is_dir() and not at.is_symlink():
            shutil.rmtree(at)
        else:
            at.unlink()
        self._forget(path)

    def _rename(self, source: str, target: str) -> None:
        start, end = self.root / source, self.root / target
        if start == end or end in start.parents or start in end.parents or end.is_dir():
            return
        end.parent.mkdir(parents=True, exist_ok=True)
        if end.exists() and start.samefile(end):
            return
        start.rename(end)
        moved = {path: name for path, name in self.origin.items() if (path + "/").startswith(source + "/")}
        self._forget(source)
        self._forget(target)
        self.origin |= {target + path[len(source) :]: name for path, name in moved.items()}

    def _swap(self, first: str, second: str) -> None:
        if first != second and (self.root / second).exists():
            one, two, aside = self.root / first, self.root / second, self.root / ".aside"
            one.rename(aside)
            two.rename(one)
            aside.rename(two)
            held = self.origin.pop(first, None), self.origin.pop(second, None)
            self.origin |= {path: name for path, name in zip((second, first), held, strict=True) if name}

    def _copy(self, source: str, target: str) -> None:
        if not (self.root / target).exists() and not (self.root / target).is_symlink():
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.root / source, self.root / target)
            self._forget_links(source)
            self._forget_overwritten(target)

    def _link(self, source: str, target: str) -> None:
        if not (self.root / target).exists() and not (self.root / target).is_symlink():
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            os.link(self.root / source, self.root / target, follow_symlinks=False)
            self._forget_links(source)
            self._forget_overwritten(target)

    def _symlink(self, source: str, target: str) -> None:
        if not (self.root / target).exists() and not (self.root / target).is_symlink():
            (self.root / target).parent.mkdir(parents=True, exist_ok=True)
            (self.root / target).symlink_to(self.root / source)

    def _forget(self, path: str) -> None:
        self.origin = {
            name: was for name, was in self.origin.items() if not (name + "/").startswith(path + "/")
        }

    def _forget_overwritten(self, path: str) -> None:
        """Other bytes at a path may be taken for an edit of its image: its identity is not defined."""
        self.origin = {name: was for name, was in self.origin.items() if path not in (name, was)}

    def _forget_links(self, path: str) -> None:
        """Of two files with the same inode or bytes, either may keep the image: its identity is not defined."""
        at = self.root / path
        same = hashlib.sha256(at.read_bytes()).digest()
        for name in list(self.origin):
            other = self.root / name
            if other.exists() and (other.samefile(at) or hashlib.sha256(other.read_bytes()).digest() == same):
                del self.origin[name]


def disturb_events(monkeypatch: pytest.MonkeyPatch, random: Random) -> None:
    """Lose, double and reorder events between buffer and event loop."""
    drain = EventBuffer.drain

    def disturbed(buffer: EventBuffer) -> tuple[list[PathEvent], bool]:
        events, lost = drain(buffer)
        events = [event for event in events for _ in range(random.choice((0, 1, 1, 2)))]
        random.shuffle(events)
        return events, lost

    monkeypatch.setattr(EventBuffer, "drain", disturbed)


async def wait_until_equal(harness: IngestHarness, disk: Disk) -> dict[str, Image]:
    """Wait until the images equal the files of the folder; on failure, show the state of the library."""

    async def contents() -> dict[str, str | None]:
        return {path: image.content for path, image in (await harness.images_by_path()).items()}

    async def probe() -> bool:
        return await contents() == disk.files()

    await harness.catalog.libraries.request_rescan(harness.library.id)
    with suppress(AssertionError):
        await until(probe, timeout_s=60)
    assert await contents() == disk.files(), await harness.load_library()
    return await harness.images_by_path()


@settings(
    max_examples=8,
    deadline=None,
    # No shrinking: an example takes seconds, and a failure may need many runs to occur again.
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(before=operations, after=operations, offline=operations, seed=st.integers(0, 1 << 16))
async def test_the_catalog_equals_the_folder_and_moved_files_keep_id_and_tags(
    harness: IngestHarness,
    before: list[tuple[str, str, str]],
    after: list[tuple[str, str, str]],
    offline: list[tuple[str, str, str]],
    seed: int,
) -> None:
    for path in harness.root.iterdir():
        if path.name not in (KEEP, ".tagify"):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    (harness.root / KEEP).write_bytes(pictures.jpeg(16, 12))
    disk = Disk(harness.root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        disturb_events(monkeypatch, Random(seed))
        async with harness.running_ingest():
            disk.apply(before)
            known = await wait_until_equal(harness, disk)
            for steps in (after, None):
                await tag(harness, known)
                disk.begin()
                if steps is None:
                    break
                disk.apply(steps)
                known = await check_moves(harness, disk, known)
        disk.apply(offline)
        async with harness.running_ingest():
            await check_moves(harness, disk, known)


async def check_moves(harness: IngestHarness, disk: Disk, known: dict[str, Image]) -> dict[str, Image]:
    """Check that moved files kept their id and tags; the images by path."""
    images = await wait_until_equal(harness, disk)
    for path, was in disk.origin.items():
        assert (path, images[path].id) == (path, known[was].id)
        assert f"tag {known[was].id}" in images[path].tags
    counts = {count.name: count.count for count in await harness.catalog.tags.most_used(limit=1000)}
    recount: dict[str, int] = {}
    for image in images.values():
        for name in image.tags:
            recount[name] = recount.get(name, 0) + 1
    assert counts == recount
    return images


async def tag(harness: IngestHarness, images: dict[str, Image]) -> None:
    for image in images.values():
        await harness.catalog.tags.change([image.id], [f"tag {image.id}"], [])

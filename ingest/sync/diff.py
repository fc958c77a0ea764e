"""Merge join of a folder and the catalog: both are streams in order of path.

Memory does not depend on the size of the library: a thread walks the disk in batches, and the catalog is
read page by page.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from ingest.library_threads import LibraryThreads
from ingest.sync.walk import Unreadable, WalkItem
from tagify.model import CatalogEntry, FileFacts

WALK_BATCH = 500
"""Files per batch of the walk."""


@dataclass(frozen=True, slots=True)
class Added:
    """A file that is new, or differs from the catalog's entry at its path: `is_known` if in ctime alone."""

    file: FileFacts
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Removed:
    """An entry without a file at its path."""

    entry: CatalogEntry


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that equals the catalog's entry."""

    path: str


@dataclass(frozen=True, slots=True)
class Adopted:
    """An unchanged file whose entry has no ctime yet."""

    entry: CatalogEntry
    file: FileFacts


Difference = Added | Adopted | Removed | Unchanged | Unreadable


async def in_batches(threads: LibraryThreads, items: Iterator[WalkItem]) -> AsyncIterator[WalkItem]:
    """The items of a walk, which a thread reads in batches."""
    while batch := await threads.run(lambda: list(itertools.islice(items, WALK_BATCH))):
        for item in batch:
            yield item


async def diff(
    disk: AsyncIterator[WalkItem], catalog: AsyncIterator[CatalogEntry]
) -> AsyncIterator[Difference]:
    """The differences between files and entries, both in order of path.

    Entries below an unreadable folder are skipped: their files may exist.
    """
    entry = await anext(catalog, None)
    unreadable: str | None = None
    async for item in disk:
        while entry is not None and entry.file.path < _position(item):
            if not _is_covered(entry.file.path, unreadable):
                yield Removed(entry)
            entry = await anext(catalog, None)
        if isinstance(item, Unreadable):
            # The entries below the last unreadable folder sort before this one: one path is enough to keep.
            unreadable = item.path
            yield item
        elif entry is not None and entry.file.path == item.path:
            yield _compare(entry, item)
            entry = await anext(catalog, None)
        else:
            yield Added(item)
    while entry is not None:
        if not _is_covered(entry.file.path, unreadable):
            yield Removed(entry)
        entry = await anext(catalog, None)


def _compare(entry: CatalogEntry, file: FileFacts) -> Difference:
    if not entry.file.same_version_as(file):
        return Added(file)
    return Unchanged(file.path) if entry.file.ctime_ns == file.ctime_ns else Adopted(entry, file)


def _position(item: WalkItem) -> str:
    """The item's position in the order of paths: a folder sorts with its slash."""
    is_subfolder = isinstance(item, Unreadable) and item.is_folder and item.path
    return f"{item.path}/" if is_subfolder else item.path


def _is_covered(path: str, unreadable: str | None) -> bool:
    """Whether the path is the unreadable one, or lies below it."""
    if unreadable is None:
        return False
    return not unreadable or path == unreadable or path.startswith(f"{unreadable}/")

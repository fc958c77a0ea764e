"""Merge join of a folder and the catalog: both are streams in order of path.

Memory does not depend on the size of the library: a thread walks the disk in batches, and the catalog is
read page by page.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from ingest.sync.walk import Unreadable, WalkItem
from tagify.concurrency.thread_pool import ThreadPool
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


async def in_batches(threads: ThreadPool, items: Iterator[WalkItem]) -> AsyncIterator[WalkItem]:
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
    unreadable: set[str] = set()
    async for item in disk:
        if isinstance(item, Unreadable):
            unreadable.add(item.path)
            yield item
            continue
        while entry is not None and entry.file.path < item.path:
            if not _is_below_any(entry.file.path, unreadable):
                yield Removed(entry)
            entry = await anext(catalog, None)
        if entry is not None and entry.file.path == item.path:
            yield _compare(entry, item)
            entry = await anext(catalog, None)
        else:
            yield Added(item)
    while entry is not None:
        if not _is_below_any(entry.file.path, unreadable):
            yield Removed(entry)
        entry = await anext(catalog, None)


def _compare(entry: CatalogEntry, file: FileFacts) -> Difference:
    if not entry.file.same_version_as(file):
        return Added(file)
    return Unchanged(file.path) if entry.file.ctime_ns == file.ctime_ns else Adopted(entry, file)


def _is_below_any(path: str, folders: set[str]) -> bool:
    """Whether the path or a folder above it is among these: one look-up for each of its parts."""
    if not folders:
        return False
    if "" in folders or path in folders:
        return True
    return any(char == "/" and path[:end] in folders for end, char in enumerate(path))

"""The comparison of folder and catalog: two streams in the same order, merged.

Memory does not depend on the size of the library: the disk is walked by a thread in chunks,
the catalog is read by a cursor, and only differences come out.
"""

import itertools
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from ingest.sync.walk import Unreadable, WalkItem
from tagify.concurrency.thread_pool import ThreadPool
from tagify.model import CatalogEntry, FileFacts

WALK_BATCH = 500
"""Files that are fetched from the walk at once."""


@dataclass(frozen=True, slots=True)
class Added:
    """A file that is new or not what the catalog holds at its path."""

    file: FileFacts


@dataclass(frozen=True, slots=True)
class Removed:
    """An image whose file is not at its path."""

    entry: CatalogEntry


@dataclass(frozen=True, slots=True)
class Unchanged:
    """A file that is what the catalog holds."""

    path: str


Difference = Added | Removed | Unchanged | Unreadable


async def in_batches(threads: ThreadPool, found: Iterator[WalkItem]) -> AsyncIterator[WalkItem]:
    """The walk's findings, fetched by a thread some hundreds at a time."""
    while chunk := await threads.run(lambda: list(itertools.islice(found, WALK_BATCH))):
        for item in chunk:
            yield item


async def diff(
    disk: AsyncIterator[WalkItem], catalog: AsyncIterator[CatalogEntry]
) -> AsyncIterator[Difference]:
    """The differences between files and entries, both in order of path.

    Below a folder that could not be read nothing departs.
    """
    entry = await anext(catalog, None)
    blind: list[str] = []
    async for found in disk:
        if isinstance(found, Unreadable):
            blind.append(found.path)
            yield found
            continue
        while entry is not None and entry.file.path < found.path:
            if not _is_below_any(entry.file.path, blind):
                yield Removed(entry)
            entry = await anext(catalog, None)
        if entry is not None and entry.file.path == found.path:
            yield Unchanged(found.path) if entry.file == found else Added(found)
            entry = await anext(catalog, None)
        else:
            yield Added(found)
    while entry is not None:
        if not _is_below_any(entry.file.path, blind):
            yield Removed(entry)
        entry = await anext(catalog, None)


def _is_below_any(path: str, folders: list[str]) -> bool:
    return any(not folder or path == folder or path.startswith(folder + "/") for folder in folders)

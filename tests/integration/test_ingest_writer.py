"""Batches: a write that the catalog rejects does not reject the others of its batch."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from pymongo import MongoClient

from ingest.lease import HeldLeases
from ingest.pipeline.batch_writer import BatchWriter
from tagify.catalog import Catalog, CatalogError, UpsertImage
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.model import Content, FileFacts, Library, Picture

NUMBER = 60
TOO_LARGE = 1 << 63
"""A size that no document can hold."""


@pytest.fixture
async def writer(catalog: Catalog, library: Library) -> AsyncIterator[BatchWriter]:
    lease = await catalog.leases.acquire(library.id, "test", 600)
    leases = HeldLeases()
    leases.add(library.id, lease.token)
    made = BatchWriter(catalog, Metrics(), batch_size=NUMBER, wait_s=0.2, leases=leases)
    working = asyncio.create_task(made.run())
    yield made
    await cancel_and_wait(working)


def store(library: Library, number: int, size: int) -> UpsertImage:
    content = Content(hashlib.sha256(str(number).encode()).hexdigest())
    picture = Picture("image/jpeg", 1, 1, b"", keywords=("sea",))
    return UpsertImage(library.id, FileFacts(f"{number:03}.jpg", size, 1, number), content, picture)


async def write_results(writer: BatchWriter, writes: list[UpsertImage]) -> list[BaseException | None]:
    pending = [await writer.enqueue(write) for write in writes]
    return await asyncio.gather(*pending, return_exceptions=True)


async def counts(catalog: Catalog, library: Library) -> tuple[int, int]:
    fresh = await catalog.libraries.get(library.id)
    assert fresh is not None
    return fresh.indexed_count, (await catalog.tags.most_used(limit=1))[0].count


async def test_an_invalid_document_rejects_one_write(
    catalog: Catalog, library: Library, writer: BatchWriter
) -> None:
    writes = [store(library, number, TOO_LARGE if number == 17 else 1) for number in range(NUMBER)]
    results = await write_results(writer, writes)
    assert [number for number, error in enumerate(results) if error] == [17]
    assert await counts(catalog, library) == (NUMBER - 1, NUMBER - 1)


async def test_a_file_time_out_of_range_is_stored_without_a_date(
    catalog: Catalog, library: Library, writer: BatchWriter
) -> None:
    write = store(library, 1, 1)
    assert await write_results(
        writer, [replace(write, file=replace(write.file, mtime_ns=(1 << 63) - 1))]
    ) == [None]
    strange = replace(write, file=FileFacts("b.jpg", 1, -(1 << 63), 2))
    assert await write_results(writer, [strange]) == [None]
    entry = (await catalog.images.by_paths(library.id, ["b.jpg"]))["b.jpg"]
    image = await catalog.images.get(entry.id)
    assert image is not None
    assert image.file.mtime_ns == -(1 << 63)


async def test_a_duplicate_key_rejects_one_write(
    catalog: Catalog, library: Library, writer: BatchWriter, mongo_values: dict[str, str]
) -> None:
    # Paths are unique: the duplicate key is of an index that is created for this test.
    with MongoClient[dict[str, object]](mongo_values["mongo_uri"]) as client:
        client[mongo_values["mongo_database"]].images.create_index("size", unique=True)
    writes = [store(library, number, min(number, 40)) for number in range(42)]
    results = await write_results(writer, writes)
    assert [type(error) for error in results if error] == [CatalogError]
    assert await counts(catalog, library) == (41, 41)


async def test_a_write_conflict_rejects_no_write(
    catalog: Catalog, library: Library, writer: BatchWriter
) -> None:
    """Concurrent changes of tags write to the same counts."""
    await write_results(writer, [store(library, 1000, 1)])
    image = next(iter((await catalog.images.by_paths(library.id, ["1000.jpg"])).values()))

    async def tag() -> None:
        for number in range(10):
            await catalog.tags.change([image.id], ["sea"], []) if number % 2 else await catalog.tags.change(
                [image.id], [], ["sea"]
            )

    tagging = asyncio.create_task(tag())
    results = await write_results(writer, [store(library, number, 1) for number in range(NUMBER)])
    await tagging
    assert not any(results)
    assert await counts(catalog, library) == (NUMBER + 1, NUMBER + 1)

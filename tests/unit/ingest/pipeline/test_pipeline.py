"""Every job gets a result, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from ingest.job import ImportJob, JobResult
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.disk_space import DiskSpaceGuard
from ingest.pipeline.file_reader import FileChanged
from ingest.pipeline.importer import Importer
from ingest.pipeline.pipeline import Pipeline, PipelineLimits
from tagify.catalog import UpsertImage
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.model import FileFacts, LibraryId

DECODE_BYTES = 1000

ERRORS = {"deleted.jpg": FileNotFoundError(), "changing.jpg": FileChanged("changed"), "bug.jpg": ValueError()}


class FakeImporter:
    async def estimate_memory(self, job: ImportJob) -> int:
        return DECODE_BYTES if job.file.path.startswith("large") else 0

    async def import_file(self, job: ImportJob, memory: int) -> UpsertImage:
        if error := ERRORS.get(job.file.path):
            raise error
        if job.file.path == "endless.jpg":
            await asyncio.Event().wait()
        return UpsertImage(job.library_id, job.file)

    async def close(self) -> None:
        """Nothing to close."""


class FakeBatchWriter:
    def __init__(self) -> None:
        self.durable: dict[str, asyncio.Future[None]] = {}

    async def enqueue(self, command: UpsertImage, *, live: bool) -> asyncio.Future[None]:
        return self.durable.setdefault(command.file.path, asyncio.get_running_loop().create_future())


def job(path: str) -> ImportJob:
    return ImportJob(LibraryId("0" * 24), "/", FileFacts(path, 1, 0, 1), live=True)


NO_DISKS = DiskSpaceGuard((), 0)


@pytest.fixture
def writer() -> FakeBatchWriter:
    return FakeBatchWriter()


@pytest.fixture
async def pipeline(writer: FakeBatchWriter) -> AsyncIterator[Pipeline]:
    importer, batch_writer = cast("Importer", FakeImporter()), cast("BatchWriter", writer)
    limits = PipelineLimits(workers=2, queue_size=8, decode_bytes=DECODE_BYTES)
    made = Pipeline(importer, batch_writer, Metrics(), limits, NO_DISKS)
    running = asyncio.create_task(made.run())
    yield made
    await cancel_and_wait(running)


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("deleted.jpg", JobResult.DONE),
        ("changing.jpg", JobResult.CHANGED),
        ("bug.jpg", JobResult.DONE),
    ],
)
async def test_a_job_without_a_write_has_a_result(pipeline: Pipeline, path: str, result: JobResult) -> None:
    assert await (await pipeline.submit(job(path))) is result


@pytest.mark.parametrize("path", ["a.jpg", "large.jpg"])
@pytest.mark.parametrize(("error", "result"), [(None, JobResult.DONE), (ValueError(), JobResult.REJECTED)])
async def test_the_result_is_set_once_the_write_is_durable_or_rejected(
    pipeline: Pipeline, writer: FakeBatchWriter, path: str, error: Exception | None, result: JobResult
) -> None:
    pending = await pipeline.submit(job(path))
    await asyncio.sleep(0.01)
    assert not pending.done()
    if error is None:
        writer.durable[path].set_result(None)
    else:
        writer.durable[path].set_exception(error)
    assert await pending is result


async def test_a_job_that_is_being_imported_has_a_result_when_the_pipeline_stops(
    writer: FakeBatchWriter,
) -> None:
    importer, batch_writer = cast("Importer", FakeImporter()), cast("BatchWriter", writer)
    made = Pipeline(importer, batch_writer, Metrics(), PipelineLimits(2, 8, DECODE_BYTES), NO_DISKS)
    running = asyncio.create_task(made.run())
    pending = await made.submit(job("endless.jpg"))
    await asyncio.sleep(0.01)
    await cancel_and_wait(running)
    assert await pending is JobResult.DONE

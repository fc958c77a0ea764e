"""Every job gets a result, whatever happens to it."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from ingest.job import ImportJob, JobResult
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.content_lookup import MovePending
from ingest.pipeline.decoder import Lane, NeedsLane
from ingest.pipeline.disk_space import DiskSpaceGuard
from ingest.pipeline.file_reader import FileChanged
from ingest.pipeline.importer import Importer
from ingest.pipeline.pipeline import Pipeline, PipelineLimits
from tagify.catalog import UpsertImage
from tagify.concurrency.tasks import cancel_and_wait
from tagify.metrics import Metrics
from tagify.model import Content, FileFacts, LibraryId

ERRORS = {"deleted.jpg": FileNotFoundError(), "changing.jpg": FileChanged("changed"), "bug.jpg": ValueError()}


class FakeImporter:
    def __init__(self) -> None:
        self.lanes: list[Lane] = []
        self.moves_written: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def import_file(self, job: ImportJob, lane: Lane) -> UpsertImage:
        self.lanes.append(lane)
        needed = next((lane for lane in Lane if job.file.path.startswith(lane.value)), Lane.QUICK)
        if needed is not lane:
            raise NeedsLane(needed, "the image decodes to 100 MB")
        if job.file.path == "copy.jpg":
            raise MovePending(self.moves_written)
        if error := ERRORS.get(job.file.path):
            raise error
        if job.file.path == "endless.jpg":
            await asyncio.Event().wait()
        return UpsertImage(job.library_id, job.file)

    async def import_failed(self, job: ImportJob, reason: str) -> UpsertImage:
        return UpsertImage(job.library_id, job.file, Content("c" * 64), error=reason)

    async def close(self) -> None:
        """Nothing to close."""


class FakeBatchWriter:
    def __init__(self) -> None:
        self.durable: dict[str, asyncio.Future[None]] = {}
        self.commands: list[UpsertImage] = []

    async def enqueue(self, command: UpsertImage, *, live: bool) -> asyncio.Future[None]:
        self.commands.append(command)
        return self.durable.setdefault(command.file.path, asyncio.get_running_loop().create_future())


def job(path: str) -> ImportJob:
    return ImportJob(LibraryId("0" * 24), "/", FileFacts(path, 1, 0, 1), live=True)


NO_DISKS = DiskSpaceGuard((), 0)


@pytest.fixture
def writer() -> FakeBatchWriter:
    return FakeBatchWriter()


@pytest.fixture
async def fake_importer() -> FakeImporter:
    return FakeImporter()


@pytest.fixture
async def pipeline(writer: FakeBatchWriter, fake_importer: FakeImporter) -> AsyncIterator[Pipeline]:
    importer, batch_writer = cast("Importer", fake_importer), cast("BatchWriter", writer)
    limits = PipelineLimits(workers=2, queue_size=8)
    made = Pipeline(importer, batch_writer, Metrics(), limits, NO_DISKS)
    running = asyncio.create_task(made.run())
    yield made
    await cancel_and_wait(running)


@pytest.mark.parametrize(
    ("path", "result"),
    [
        ("deleted.jpg", JobResult.DONE),
        ("changing.jpg", JobResult.CHANGED),
    ],
)
async def test_a_job_without_a_write_has_a_result(pipeline: Pipeline, path: str, result: JobResult) -> None:
    assert await (await pipeline.submit(job(path))) is result


async def test_the_age_of_the_oldest_waiting_file_is_exported(
    writer: FakeBatchWriter, fake_importer: FakeImporter
) -> None:
    metrics = Metrics()
    pipeline = Pipeline(
        cast(Importer, fake_importer), cast(BatchWriter, writer), metrics, PipelineLimits(2, 10), NO_DISKS
    )

    def age_s() -> float:
        (line,) = (
            line
            for line in metrics.exposition()[0].decode().splitlines()
            if line.startswith("tagify_ingest_oldest_file_seconds ")
        )
        return float(line.split()[1])

    assert age_s() == 0
    first = await pipeline.submit(job("deleted.jpg"))
    older = age_s()
    second = await pipeline.submit(job("deleted.jpg"))
    assert 0 < older <= age_s()
    running = asyncio.create_task(pipeline.run())
    await asyncio.gather(first, second)
    await cancel_and_wait(running)
    assert age_s() == 0


async def test_files_that_wait_for_a_move_keep_no_worker(
    pipeline: Pipeline, fake_importer: FakeImporter
) -> None:
    waiting = [await pipeline.submit(job("copy.jpg")) for _ in range(6)]
    assert await (await pipeline.submit(job("deleted.jpg"))) is JobResult.DONE
    assert not any(result.done() for result in waiting)
    fake_importer.moves_written.set_result(None)
    assert set(await asyncio.gather(*waiting)) == {JobResult.CHANGED}


@pytest.mark.parametrize("path", ["a.jpg", "large.jpg", "suspect.jpg"])
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


async def test_a_bug_of_the_importer_is_written_as_a_failed_image(
    pipeline: Pipeline, writer: FakeBatchWriter
) -> None:
    """The write has facts that no file has, so that the next scan tries the file again."""
    pending = await pipeline.submit(job("bug.jpg"))
    await asyncio.sleep(0.01)
    assert not pending.done()
    (command,) = writer.commands
    assert command.error == "the file cannot be imported: a bug (ValueError), see the log"
    assert command.file == FileFacts("bug.jpg", 0, 0, 0)
    writer.durable["bug.jpg"].set_result(None)
    assert await pending is JobResult.DONE


async def test_a_job_that_is_being_imported_has_a_result_when_the_pipeline_stops(
    writer: FakeBatchWriter,
) -> None:
    importer, batch_writer = cast("Importer", FakeImporter()), cast("BatchWriter", writer)
    made = Pipeline(importer, batch_writer, Metrics(), PipelineLimits(2, 8), NO_DISKS)
    running = asyncio.create_task(made.run())
    pending = await made.submit(job("endless.jpg"))
    await asyncio.sleep(0.01)
    await cancel_and_wait(running)
    assert await pending is JobResult.DONE


async def test_suspect_files_that_find_the_lane_full_fail_and_no_worker_waits(
    writer: FakeBatchWriter,
) -> None:
    class Hanging(FakeImporter):
        async def import_file(self, job: ImportJob, lane: Lane) -> UpsertImage:
            if lane is Lane.SUSPECT:
                await asyncio.Event().wait()
            return await super().import_file(job, lane)

    importer, batch_writer = cast("Importer", Hanging()), cast("BatchWriter", writer)
    made = Pipeline(importer, batch_writer, Metrics(), PipelineLimits(2, 8), NO_DISKS)
    running = asyncio.create_task(made.run())
    for number in range(12):
        await made.submit(job(f"suspect{number}.jpg"))
        await asyncio.sleep(0.01)
    await made.submit(job("a.jpg"))
    await asyncio.sleep(0.01)
    failed = [command.file.path for command in writer.commands if command.error]
    assert failed == ["suspect9.jpg", "suspect10.jpg", "suspect11.jpg"]
    assert all(command.content for command in writer.commands if command.error)
    assert set(writer.durable) == {*failed, "a.jpg"}
    await cancel_and_wait(running)


class DeafImporter(FakeImporter):
    """Drops the first cancellation of each import, as MongoDB's driver can."""

    async def import_file(self, job: ImportJob, lane: Lane) -> UpsertImage:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return UpsertImage(job.library_id, job.file)
        raise AssertionError


async def test_a_worker_that_drops_its_cancellation_does_not_hold_up_the_end(
    writer: FakeBatchWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tagify.concurrency.tasks.RECANCEL_S", 0.01)
    importer, batch_writer = cast("Importer", DeafImporter()), cast("BatchWriter", writer)
    made = Pipeline(importer, batch_writer, Metrics(), PipelineLimits(2, 8), NO_DISKS)
    running = asyncio.create_task(made.run())
    await made.submit(job("a.jpg"))
    await asyncio.sleep(0.01)
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({running})
    assert running.cancelled()
    assert [command.file.path for command in writer.commands] == ["a.jpg"]

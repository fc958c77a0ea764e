"""A bug in a background task of a running service: it is logged and counted, and the work continues."""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import api.app
import edge.app
from api.events.hub import EventHub
from edge.purge.follower import PurgeFollower
from ingest.gc_loop import GcLoop
from ingest.library_worker import LibraryWorker
from ingest.pipeline.batch_writer import BatchWriter
from ingest.pipeline.pipeline import Pipeline
from ingest.supervisor import LibrarySupervisor
from tagify.catalog import Catalog, CatalogChange, MarkedObject, PurgeLog, TagJobs
from tagify.catalog.change_stream import ChangeStream
from tagify.catalog.tags import jobs as tag_jobs
from tagify.catalog.tags.rename import RenameStep
from tagify.concurrency import task_supervisor
from tagify.concurrency.retry import Backoff
from tagify.model import Bucket, Content, JobState
from tagify.sandbox import Sandbox
from tagify.settings import ApiSettings, EdgeSettings
from tagify.storage.store import ObjectStore
from tagify.web import METRICS, TASKS
from tests.conftest import Values
from tests.support import ingest_process, pictures
from tests.support.catalog_fixtures import insert_images, tags_of
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

minio = pytest.mark.parametrize("s3", ["minio"], indirect=True)


@pytest.fixture(autouse=True)
def _fast_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_supervisor, "RESTART", Backoff(0.05, 0.2))


def failing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, times: int) -> Callable[[], int]:
    """Let a method raise KeyError at its first calls; returns the number of failures left."""
    original: Any = getattr(owner, name)
    left = times

    def call(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            raise KeyError(name)
        return original(*arguments, **options)

    monkeypatch.setattr(owner, name, call)
    return lambda: left


def failures(app: web.Application, task: str) -> float:
    prefix = f'background_task_failures_total{{task="{task}"}}'
    lines = app[METRICS].exposition()[0].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(prefix))


async def is_ready(client: TestClient[Any, Any]) -> bool:
    async with client.get("/readyz") as response:
        return response.status == 200


def assert_logged(caplog: pytest.LogCaptureFixture, task: str) -> None:
    records = [record for record in caplog.records if "background task failed" in record.message]
    assert [record for record in records if record.__dict__["fields"]["task"] == task and record.exc_info]


API_TASKS = {
    "index builder": (Catalog, "ensure_indexes"),
    "event hub": (ChangeStream, "follow"),
    "job worker": (TagJobs, "acquire_oldest"),
}


@pytest.mark.parametrize("task", API_TASKS)
async def test_tasks_of_the_api_are_back_after_a_bug(
    catalog: Catalog,
    mongo_values: Values,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    task: str,
) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    (image,) = await insert_images(catalog, library, 1, "sea")
    left = failing(monkeypatch, *API_TASKS[task], times=2)
    app = api.app.build(ApiSettings(**mongo_values))
    async with TestClient(TestServer(app)) as client:

        async def failed_and_ready() -> bool:
            return not left() and await is_ready(client)

        await until(failed_and_ready)
        assert failures(app, task) == 2
        assert_logged(caplog, task)
        async with client.get("/api/events") as stream:
            await stream.content.readuntil(b"\n\n")
            job = await catalog.tag_jobs.enqueue_rename("sea", "ocean", None)

            async def done() -> bool:
                current = await catalog.tag_jobs.get(job.id)
                return current is not None and current.state is JobState.DONE

            await until(done)
            async with asyncio.timeout(5):
                await stream.content.readuntil(b"ocean")
    assert await tags_of(catalog, image) == ("ocean",)


async def test_a_change_that_always_fails_does_not_end_the_events(
    catalog: Catalog, mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    first, second = await insert_images(catalog, library, 2)
    serialize: Any = EventHub._event_data

    def broken(hub: EventHub, change: CatalogChange) -> Any:
        if change.id == first:
            raise KeyError("x")
        return serialize(hub, change)

    monkeypatch.setattr(EventHub, "_event_data", broken)
    app = api.app.build(ApiSettings(**mongo_values))
    async with TestClient(TestServer(app)) as client:
        await until(lambda: is_ready(client))
        async with client.get("/api/events") as stream:
            await stream.content.readuntil(b"\n\n")
            await catalog.tags.change([first], ["poison"], [])

            async def failed_twice() -> bool:
                return failures(app, "event hub") >= 2

            await until(failed_twice)
            async with asyncio.timeout(10):
                await stream.content.readuntil(b"reload")
        async with client.get("/api/events") as stream:
            await stream.content.readuntil(b"\n\n")
            await catalog.tags.change([second], ["after"], [])
            async with asyncio.timeout(10):
                await stream.content.readuntil(b"after")


async def test_a_job_that_always_fails_does_not_hold_up_the_next(
    catalog: Catalog, mongo_values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    await insert_images(catalog, library, 1, "sea", "sun")
    bad = await catalog.tag_jobs.enqueue_rename("sea", "ocean", None)
    good = await catalog.tag_jobs.enqueue_rename("sun", "light", None)
    run: Any = RenameStep.run

    async def broken(step: RenameStep, *arguments: Any) -> Any:
        if step.target == "ocean":
            raise KeyError("x")
        return await run(step, *arguments)

    monkeypatch.setattr(RenameStep, "run", broken)
    monkeypatch.setattr(tag_jobs, "LEASE_S", 0.3)
    async with TestClient(TestServer(api.app.build(ApiSettings(**mongo_values)))):

        async def done() -> bool:
            jobs = [await catalog.tag_jobs.get(job.id) for job in (bad, good)]
            return [job.state for job in jobs if job] == [JobState.FAILED, JobState.DONE]

        await until(done)


INGEST_TASKS: dict[str, tuple[type, str]] = {
    "library supervisor": (Catalog, "ensure_indexes"),
    "library worker": (LibraryWorker, "run"),
}


@minio
@pytest.mark.parametrize("task", INGEST_TASKS)
async def test_ingest_imports_after_a_bug_at_its_start(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, task: str
) -> None:
    left = failing(monkeypatch, *INGEST_TASKS[task], times=2)
    (harness.root / "a.jpg").write_bytes(pictures.jpeg(64, 48))
    async with harness.running_ingest() as server:
        await harness.wait_for_images("a.jpg")
        assert not left()
        assert failures(server.app, task) == 2
        async with TestClient(server) as client:
            await until(lambda: is_ready(client))
    assert_logged(caplog, task)


@minio
async def test_ingest_imports_after_a_bug_in_its_list_of_libraries_and_its_garbage_collection(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, GcLoop, "_collect", times=2)
    monkeypatch.setattr("ingest.gc_loop.FIRST_PASS_S", 0.05)
    (harness.root / "a.jpg").write_bytes(pictures.jpeg(64, 48, seed=1))
    async with harness.running_ingest() as server:
        await harness.wait_for_images("a.jpg")
        failing(monkeypatch, LibrarySupervisor, "_sync_libraries", times=2)

        async def both() -> bool:
            tasks = ("garbage collection", "library supervisor")
            return [failures(server.app, task) for task in tasks] == [2, 2]

        await until(both)
        (harness.root / "b.jpg").write_bytes(pictures.jpeg(64, 48, seed=2))
        await harness.wait_for_images("a.jpg", "b.jpg")


FATAL = """
import sys
from {module} import {owner}
def broken(*_, **__):
    raise KeyError("broken on purpose")
{owner}.{method} = broken
from ingest.__main__ import main
sys.exit(main())
"""


@minio
@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (BatchWriter, "_next_batch"),
        (Pipeline, "_process_jobs"),
        (Pipeline, "_process_lane"),
        (ObjectStore, "ensure_buckets"),
    ],
)
async def test_ingest_exits_non_zero_after_a_bug_that_it_cannot_survive(
    harness: IngestHarness, tmp_path: Path, owner: type, method: str
) -> None:
    assert hasattr(owner, method), "the script would add an attribute that ingest never calls"
    code = FATAL.format(module=owner.__module__, owner=owner.__name__, method=method)
    log = tmp_path / "log"
    async with ingest_process.process(harness.settings, log, (sys.executable, "-c", code)) as process:
        async with asyncio.timeout(30):
            assert await process.wait() == 1
    text = log.read_text()
    assert "background task failed; the process cannot continue" in text
    assert "Traceback" in text
    assert "broken on purpose" in text


async def test_readiness_of_ingest_names_a_fatal_failure(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, ObjectStore, "ensure_buckets", times=1)
    async with harness.running_ingest(scanned=False) as server:

        async def failed() -> bool:
            return server.app[TASKS].failure is not None

        await until(failed)
        async with TestClient(server) as client, client.get("/readyz") as response:
            assert response.status == 503
            assert "KeyError" in (await response.json())["checks"]["daemon"]


@minio
async def test_tasks_of_the_edge_are_back_after_a_bug(
    catalog: Catalog,
    blobs: ObjectStore,
    mongo_values: Values,
    s3_values: Values,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox_left = failing(monkeypatch, Sandbox, "open", times=2)
    purges_left = failing(monkeypatch, PurgeLog, "read_after", times=2)
    applied: list[str] = []
    invalidate: Any = PurgeFollower._apply_batch

    async def counted(follower: PurgeFollower) -> Any:
        more = await invalidate(follower)
        applied.append(follower._offset)
        return more

    monkeypatch.setattr(PurgeFollower, "_apply_batch", counted)
    monkeypatch.setattr(edge.app, "PURGE_DELAY_S", 0.0)
    content = Content("a" * 64)
    await catalog.purge_log.append([MarkedObject(Bucket.ORIGINALS, "a", content)])
    app = edge.app.build(EdgeSettings(**mongo_values, **s3_values, edge_cache_dir=tmp_path / "cache"))
    async with TestClient(TestServer(app)):

        async def back() -> bool:
            return not sandbox_left() and not purges_left() and any(content in item for item in applied)

        await until(back)
        assert (failures(app, "sandbox start"), failures(app, "purge follower")) == (2, 2)
    assert_logged(caplog, "sandbox start")
    assert_logged(caplog, "purge follower")

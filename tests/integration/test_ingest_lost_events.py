"""Events are hints: when events are lost or there are none, the folder is scanned."""

import pytest

from ingest.sync.filesystem_type import file_system_type
from ingest.watch.debounce import PathEvent
from ingest.watch.event_buffer import EventBuffer
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.ops_pages import OpsPages
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

FILES = 200


def write(harness: IngestHarness) -> list[str]:
    names = [f"{number:03}.jpg" for number in range(FILES)]
    for number, name in enumerate(names):
        (harness.root / name).write_bytes(pictures.jpeg(32, 24, seed=number))
    return names


async def test_an_overflow_of_the_event_buffer_leads_to_a_rescan(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.watch.event_buffer.MAX_EVENTS", 50)
    async with harness.running_ingest() as running:
        # This blocks the event loop, which would drain the buffer.
        names = write(harness)
        await harness.wait_for_images(*names)
        assert await OpsPages.for_server(running).metric("ingest_events_lost_total") >= 1


async def test_events_lost_by_the_kernel_lead_to_a_rescan(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffers: list[EventBuffer] = []

    def drop(buffer: EventBuffer, event: PathEvent) -> None:
        buffers.append(buffer)

    async with harness.running_ingest() as running:
        monkeypatch.setattr(EventBuffer, "add", drop)
        names = write(harness)

        async def has_event() -> bool:
            return bool(buffers)

        await until(has_event)
        buffers[0].mark_lost()
        await harness.wait_for_images(*names)
        assert await OpsPages.for_server(running).metric("ingest_events_lost_total") == 1


async def test_a_network_file_system_is_polled(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel reports no event for a write of another host."""
    monkeypatch.setattr(EventBuffer, "add", lambda buffer, event: None)
    kind = file_system_type(str(harness.root))
    assert kind
    harness.settings = harness.settings.model_copy(
        update={"ingest_poll_s": 0.3, "ingest_poll_filesystems": (kind,)}
    )
    async with harness.running_ingest():
        names = write(harness)
        before = await harness.wait_for_images(*names)
        (harness.root / names[0]).rename(harness.root / "renamed.jpg")
        after = await harness.wait_for_images("renamed.jpg", *names[1:])
    assert after["renamed.jpg"].id == before[names[0]].id

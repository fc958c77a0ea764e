"""Events are hints: where they are too many, or do not come, the folder is looked at."""

import pytest

from ingest.sync.mounts import file_system_type
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


async def test_more_events_than_can_be_held_lead_to_a_comparison(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.watch.event_buffer.MAX_EVENTS", 50)
    async with harness.running_ingest() as running:
        # The loop that would take the notes is held up meanwhile.
        names = write(harness)
        await harness.wait_for_images(*names)
        assert await OpsPages.for_server(running).metric("ingest_events_lost_total") >= 1


async def test_events_that_the_kernel_lost_lead_to_a_comparison(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    inboxes: list[EventBuffer] = []

    def deaf(inbox: EventBuffer, note: PathEvent) -> None:
        inboxes.append(inbox)

    async with harness.running_ingest() as running:
        monkeypatch.setattr(EventBuffer, "add", deaf)
        names = write(harness)

        async def something_came() -> bool:
            return bool(inboxes)

        await until(something_came)
        inboxes[0].mark_lost()
        await harness.wait_for_images(*names)
        assert await OpsPages.for_server(running).metric("ingest_events_lost_total") == 1


async def test_a_file_system_of_other_hosts_is_polled(
    harness: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event tells of what another host writes."""
    monkeypatch.setattr(EventBuffer, "add", lambda inbox, note: None)
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

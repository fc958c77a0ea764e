"""Debouncing of events: quiet times of files and sidecars."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.watch.debounce import CLOSED_S, OPEN_FACTOR, Debouncer, EventKind, PathEvent


def test_a_close_shortens_the_wait_and_an_open_file_lengthens_it() -> None:
    debouncer = Debouncer(1.0)
    debouncer.add(PathEvent("open", EventKind.MODIFIED), 0)
    debouncer.add(PathEvent("new", EventKind.CREATED), 0)
    debouncer.add(PathEvent("done", EventKind.MODIFIED), 0)
    debouncer.add(PathEvent("done", EventKind.CLOSED), 0)
    assert debouncer.pop_quiet(CLOSED_S) == ["done"]
    assert debouncer.pop_quiet(1.0) == ["new"]
    assert debouncer.pop_quiet(OPEN_FACTOR - 0.1) == []
    assert debouncer.pop_quiet(OPEN_FACTOR) == ["open"]
    assert (len(debouncer), debouncer.next_due_at()) == (0, None)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(list(EventKind)), st.floats(0, 3)), max_size=30
    )
)
def test_every_path_is_returned_once_and_not_before_it_is_quiet(
    events: list[tuple[str, EventKind, float]],
) -> None:
    debouncer, now = Debouncer(1.0), 0.0
    last_event_at: dict[str, float] = {}
    for path, kind, pause in events:
        now += pause
        for quiet in debouncer.pop_quiet(now):
            assert now - last_event_at.pop(quiet) >= CLOSED_S - 1e-9  # 8.2 - 8.0 is a little less than 0.2
        debouncer.add(PathEvent(path, kind), now)
        last_event_at[path] = now
    assert sorted(debouncer.pop_quiet(now + 100)) == sorted(last_event_at)


def test_a_sidecar_settles_together_with_its_image() -> None:
    debouncer = Debouncer(1.0)
    debouncer.add(PathEvent("one/a.JPG", EventKind.CLOSED), 0)
    debouncer.add(PathEvent("one/a.xmp", EventKind.MODIFIED), 0.1)
    debouncer.add(PathEvent("one/b.xmp", EventKind.MODIFIED), 0.1)
    assert debouncer.pop_quiet(1.0) == []
    debouncer.add(PathEvent("one/a.xmp", EventKind.CLOSED), 1.5)
    assert debouncer.pop_quiet(1.6) == []
    assert debouncer.pop_quiet(0.1 + OPEN_FACTOR) == ["one/a.JPG"]
    debouncer.add(PathEvent("one/a.JPG", EventKind.CLOSED), 20)
    debouncer.add(PathEvent("one/a.xmp", EventKind.MODIFIED), 20)
    debouncer.add(PathEvent("one/a.xmp", EventKind.CLOSED), 20.1)
    assert debouncer.pop_quiet(20.1 + CLOSED_S) == ["one/a.JPG"]
    assert len(debouncer) == 0

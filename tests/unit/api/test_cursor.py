"""Cursors: round trips, and rejection of every other text."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.cursor import CursorCodec
from tagify.catalog import ImageFilter, KeysetPosition, Sort
from tagify.errors import BadRequest
from tagify.model import ImageId, LibraryId

IDS = st.binary(min_size=12, max_size=12).map(lambda raw: ImageId(raw.hex()))
MOMENTS = st.datetimes(timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
VALUES: dict[Sort, st.SearchStrategy[datetime | str | None]] = {
    Sort.NEWEST: st.none(),
    Sort.TAKEN_AT: MOMENTS,
    Sort.PATH: st.text(max_size=40),
}
TAGS = st.lists(st.text(max_size=5), max_size=3).map(tuple)
FILTERS = st.builds(ImageFilter, tags=TAGS, exclude=TAGS, no_tags=st.booleans(), folder=st.text(max_size=5))
LISTS = st.builds(CursorCodec, FILTERS, st.sampled_from(Sort))


def positions(codec: CursorCodec) -> st.SearchStrategy[KeysetPosition]:
    return st.builds(KeysetPosition, VALUES[codec.sort], IDS)


@given(LISTS, st.data())
def test_a_cursor_decodes_to_its_position(codec: CursorCodec, data: st.DataObject) -> None:
    position = data.draw(positions(codec))
    assert codec.decode(codec.encode(position)) == position


@given(LISTS, LISTS, st.data())
def test_a_cursor_of_another_filter_or_sort_is_rejected(
    codec: CursorCodec, other: CursorCodec, data: st.DataObject
) -> None:
    text = codec.encode(data.draw(positions(codec)))
    if other != codec:
        with pytest.raises(BadRequest, match="another filter or sort"):
            other.decode(text)


@given(LISTS, st.data())
def test_a_changed_cursor_is_rejected(codec: CursorCodec, data: st.DataObject) -> None:
    text = codec.encode(data.draw(positions(codec)))
    index = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="ascii").filter(lambda char: char != text[index]))
    for changed in (text[:index] + letter + text[index + 1 :], text[:index], text + letter):
        with pytest.raises(BadRequest, match="start again"):
            codec.decode(changed)


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_any_time_can_be_a_position(moment: datetime) -> None:
    codec = CursorCodec(ImageFilter(), Sort.TAKEN_AT)
    position = KeysetPosition(moment, ImageId("0" * 24))
    assert codec.decode(codec.encode(position)) == position


def test_an_older_version_is_rejected_with_the_reason() -> None:
    with pytest.raises(BadRequest, match="another version"):
        CursorCodec(ImageFilter(), Sort.NEWEST).decode("AQ")


@pytest.mark.parametrize("sort", Sort)
@given(st.binary(min_size=12, max_size=12), st.binary(max_size=20))
def test_a_forged_cursor_is_a_position_or_rejected(sort: Sort, id_: bytes, value: bytes) -> None:
    codec = CursorCodec(ImageFilter(), sort)
    raw = b"\x02" + codec._checksum(id_ + value) + id_ + value
    try:
        position = codec.decode(base64.urlsafe_b64encode(raw).decode().rstrip("="))
    except BadRequest as refused:
        assert "start again" in refused.detail
    else:
        assert position.id == id_.hex()


@pytest.mark.parametrize(
    ("codec", "position", "issued"),
    [
        (
            CursorCodec(ImageFilter(tags=("sea",)), Sort.NEWEST),
            KeysetPosition(None, ImageId(f"{1:024x}")),
            "AqaRg7Q_eDOUAAAAAAAAAAAAAAAB",
        ),
        (
            CursorCodec(ImageFilter(library_id=LibraryId("1" * 24), folder="a"), Sort.PATH),
            KeysetPosition("a/1.jpg", ImageId(f"{1:024x}")),
            "Au3QNu9XFk6jAAAAAAAAAAAAAAABYS8xLmpwZw",
        ),
    ],
)
def test_issued_cursors_stay_valid(codec: CursorCodec, position: KeysetPosition, issued: str) -> None:
    """A failure means that the encoding or the checksum of version 2 has changed."""
    assert codec.decode(issued) == position
    assert codec.encode(position) == issued

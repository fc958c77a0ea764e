"""The time of capture: forms, zones, placeholders, sources and their order."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.imaging import decode_original
from tagify.imaging.metadata.dates import choose_time, parse_date
from tests.support.odd_metadata import (
    ExifValue,
    iptc,
    jpeg_with_exif,
    jpeg_with_iptc,
    jpeg_with_xmp,
    png_chunk,
    png_text,
    rationals,
    segment,
    tiff,
    with_chunks,
    with_segments,
    xmp,
)

ORIGINAL, DIGITIZED, MODIFIED = 0x9003, 0x9004, 0x0132
OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED = 0x9010, 0x9011, 0x9012
NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
EAST_9 = timezone(timedelta(hours=9))


def taken_at(source: bytes) -> datetime | None:
    return decode_original(source, max_pixels=1_000_000).picture.taken_at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024:05:01 12:00:00", NOON),
        ("2024-05-01 12:00:00", NOON),
        ("2024/05/01 12:00:00", NOON),
        ("2024-05-01T12:00:00", NOON),
        ("2024-05-01T12:00:00Z", NOON),
        ("2024:05:01 12:00:00.123", NOON.replace(microsecond=123_000)),
        ("2024:05:01 12:00:00+02:00", NOON.replace(tzinfo=timezone(timedelta(hours=2)))),
        ("2024:05:01 12:00:00.5-0330", datetime(2024, 5, 1, 15, 30, 0, 500_000, UTC)),
        ("2024:05:01 12:00", NOON),
        ("2024:05:01", NOON.replace(hour=0)),
        ("2024:05:01   :  :  ", NOON.replace(hour=0)),
        ("2024:05:01 12:00:60", NOON.replace(second=59)),
    ],
)
def test_a_date_is_read_in_the_forms_that_cameras_and_programs_write(text: str, expected: datetime) -> None:
    assert taken_at(jpeg_with_exif(details={ORIGINAL: text})) == expected


@pytest.mark.parametrize("offset", ["+09:00", "+0900", "+9:00", "+9", " +09:00\0"])
def test_an_offset_is_read_in_every_form(offset: str) -> None:
    source = jpeg_with_exif(details={ORIGINAL: "2024:05:01 12:00:00", OFFSET_ORIGINAL: offset})
    assert taken_at(source) == NOON.replace(tzinfo=EAST_9)


@pytest.mark.parametrize("tag", [OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED])
def test_any_of_the_three_offsets_is_used(tag: int) -> None:
    source = jpeg_with_exif(details={ORIGINAL: "2024:05:01 12:00:00", tag: "+09:00"})
    assert taken_at(source) == NOON.replace(tzinfo=EAST_9)


@pytest.mark.parametrize("offset", ["", "abc", "+99:00", "+24:00", "+15:30"])
def test_a_damaged_offset_is_taken_as_utc(offset: str) -> None:
    assert taken_at(jpeg_with_exif(details={ORIGINAL: "2024:05:01 12:00:00", OFFSET: offset})) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "0000:01:01 00:00:00",
        "0001:01:01 00:00:00",
        "2024:13:01 12:00:00",
        "2024:02:30 12:00:00",
        "2024:05:01 25:00:00",
        "yesterday",
        "",
    ],
)
def test_placeholders_and_damaged_dates_are_no_values(text: str) -> None:
    source = jpeg_with_exif(details={ORIGINAL: text, DIGITIZED: "2024:05:01 12:00:00"})
    assert taken_at(source) == NOON
    assert taken_at(jpeg_with_exif(details={ORIGINAL: text})) is None


@pytest.mark.parametrize(
    ("text", "offset"), [("0001:01:02 00:00:00", "+09:00"), ("9999:12:31 23:59:59", "-09:00")]
)
def test_a_date_outside_of_what_the_catalog_holds_is_left_out(text: str, offset: str) -> None:
    expected = None if text.startswith("9999") else datetime(1, 1, 1, 15, tzinfo=UTC)
    assert taken_at(jpeg_with_exif(details={ORIGINAL: text, OFFSET: offset})) == expected


def test_a_date_before_year_one_in_utc_is_left_out() -> None:
    assert parse_date("0001:01:01 08:00:00", "+09:00") is None


@given(st.text("0123456789:-/.TZ+ \0", max_size=40), st.text("0123456789:+-Z ", max_size=8))
def test_any_text_gives_a_date_that_utc_holds_or_none(text: str, offset: str) -> None:
    if date := choose_time([parse_date(text, offset)], None):
        assert 1 <= date.astimezone(UTC).year <= 9999


GPS: dict[int, ExifValue] = {29: "2024:05:01", 7: rationals(12, 0, 0)}


@pytest.mark.parametrize(
    ("source", "hour"),
    [
        (jpeg_with_exif({MODIFIED: "2024:05:01 12:00:00"}), 12),
        (jpeg_with_exif(gps=GPS), 12),
        (jpeg_with_exif({MODIFIED: "2024:05:01 09:30:00"}, gps=GPS), 12),
        (jpeg_with_xmp("<exif:DateTimeOriginal>2024-05-01T14:00:00+02:00</exif:DateTimeOriginal>"), 12),
        (jpeg_with_xmp("<photoshop:DateCreated>2024-05-01T12:00</photoshop:DateCreated>"), 12),
        (jpeg_with_xmp("<xmp:CreateDate>2024-05-01T12:00:00Z</xmp:CreateDate>"), 12),
        (jpeg_with_xmp("", 'xmp:CreateDate="2024-05-01T12:00:00Z"'), 12),
        (jpeg_with_iptc((55, b"20240501"), (60, b"140000+0200")), 12),
        (jpeg_with_iptc((55, b"20240501")), 0),
        (with_chunks(png_text("Creation Time", b"2024:05:01 12:00:00")), 12),
        (with_chunks(png_text("Creation Time", b"Wed, 01 May 2024 14:00:00 +0200"), late=True), 12),
        (with_chunks(png_chunk(b"tIME", b"\x07\xe8\x05\x01\x0c\0\0")), 12),
        (with_chunks(png_chunk(b"eXIf", tiff(details={ORIGINAL: "2024:05:01 12:00:00"})), late=True), 12),
    ],
)
def test_the_time_is_found_wherever_it_stands(source: bytes, hour: int) -> None:
    date = taken_at(source)
    assert date is not None
    assert date.astimezone(UTC) == NOON.replace(hour=hour)


def test_the_sources_have_the_order_of_exiftool() -> None:
    """Each removed source shows the next one: by the year that each has."""
    main: dict[int, ExifValue]
    details: dict[int, ExifValue]
    main, details, gps = (
        {MODIFIED: "2006:01:01 00:00:00"},
        {ORIGINAL: "2001:01:01 00:00:00"},
        {29: "2007:01:01", 7: GPS[7]},
    )
    details[DIGITIZED] = "2002:01:01 00:00:00"
    packet = xmp("<xmp:CreateDate>2003-01-01T00:00:00Z</xmp:CreateDate>")
    xmp_segment = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    records = iptc((55, b"20040101"))
    resource = b"8BIM\x04\x04\0\0" + len(records).to_bytes(4, "big") + records + b"\0" * (len(records) % 2)
    iptc_segment = segment(0xED, b"Photoshop 3.0\0" + resource)

    def year(*segments: bytes) -> int:
        date = taken_at(with_segments(segment(0xE1, b"Exif\0\0" + tiff(main, details, gps)), *segments))
        assert date is not None
        return date.year

    years = [year(xmp_segment, iptc_segment)]
    del details[ORIGINAL]
    years.append(year(xmp_segment, iptc_segment))
    del details[DIGITIZED]
    years += [year(xmp_segment, iptc_segment), year(iptc_segment), year()]
    del main[MODIFIED]
    years.append(year())
    assert years == [2001, 2002, 2003, 2004, 2006, 2007]


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2024:05:01 21:00:40", EAST_9),
        ("2024:05:01 17:44:30", timezone(timedelta(hours=5, minutes=45))),
        ("2024:04:30 23:59:00", timezone(-timedelta(hours=12))),
        ("2024:05:01 21:07:30", UTC),
        ("2024:05:09 12:00:00", UTC),
    ],
)
def test_a_time_without_an_offset_takes_the_zone_in_which_it_was_gps_time(
    local: str, expected: timezone
) -> None:
    date = taken_at(jpeg_with_exif(details={ORIGINAL: local}, gps=GPS))
    assert date is not None
    assert date.utcoffset() == expected.utcoffset(None)


def test_the_time_of_a_receiver_without_a_fix_is_no_value() -> None:
    assert taken_at(jpeg_with_exif(gps={**GPS, 9: "V"})) is None

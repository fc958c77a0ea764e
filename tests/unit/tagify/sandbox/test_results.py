"""Results of a worker: what is packed is unpacked, and fields of a wrong type or range are refused."""

from dataclasses import fields, replace
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.imaging import FORMATS
from tagify.model import DecodedOriginal, GeoPosition, Picture
from tagify.sandbox import results

JPEG, WEBP = b"\xff\xd8\xff rest", b"RIFF....WEBP rest"
PICTURE = Picture(
    mime="image/jpeg",
    width=640,
    height=480,
    placeholder=b"\x01\x02",
    taken_at=datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC),
    keywords=("Zürich", "a"),
    camera="Make Model",
    lens="Lens",
    position=GeoPosition(1.5, -2.5),
    frames=3,
    damaged=True,
)
ORIGINAL = DecodedOriginal(PICTURE, JPEG, "image/jpeg")


def changed(**values: object) -> bytes:
    packed = results.pack_original(ORIGINAL)
    length = int.from_bytes(packed[:4], "big")
    metadata = orjson.dumps(orjson.loads(packed[4 : 4 + length]) | values)
    return len(metadata).to_bytes(4, "big") + metadata + JPEG


@pytest.mark.parametrize(
    "original",
    [
        ORIGINAL,
        DecodedOriginal(
            replace(PICTURE, taken_at=None, position=None, keywords=(), camera="", lens=""),
            WEBP,
            "image/webp",
        ),
    ],
)
def test_an_original_is_unpacked_as_it_was_packed(original: DecodedOriginal) -> None:
    assert results.unpack_original(results.pack_original(original)) == original


def test_every_field_of_a_picture_is_packed_and_checked() -> None:
    assert set(results._FIELDS) == {field.name for field in fields(Picture)}
    assert set(FORMATS.values()) == results.ORIGINAL_MIMES


@pytest.mark.parametrize(
    "change",
    [
        {"mime": "text/html"},
        {"mime": ["image/jpeg"]},
        {"width": 0},
        {"width": True},
        {"width": 1.5},
        {"height": 1 << 40},
        {"placeholder": "zz"},
        {"placeholder": "00" * 100},
        {"placeholder": None},
        {"taken_at": "2020-01-01T00:00:00"},
        {"taken_at": 5},
        {"taken_at": "yesterday"},
        {"keywords": "abc"},
        {"keywords": [1]},
        {"keywords": ["x"] * 3000},
        {"camera": "\x1b[31m"},
        {"camera": "x" * 1000},
        {"lens": None},
        {"position": [100, 0]},
        {"position": [1]},
        {"position": "here"},
        {"position": [[], 1]},
        {"frames": -1},
        {"damaged": 1},
        {"damaged": None},
        {"thumb_mime": "image/svg+xml"},
        {"thumb_mime": "image/webp"},
        {"thumb_mime": []},
    ],
)
def test_a_field_of_a_wrong_type_or_range_is_refused(change: dict[str, object]) -> None:
    assert results.unpack_original(changed()) == ORIGINAL
    with pytest.raises(results.InvalidResult):
        results.unpack_original(changed(**change))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_result_are_refused(data: bytes) -> None:
    for unpack in (results.unpack_original, results.unpack_keywords):
        with pytest.raises(results.InvalidResult):
            unpack(data)


def test_keywords_are_normalized_again_and_bounded() -> None:
    assert results.unpack_keywords(b'["a", " a ", "b\\u0000", "c"]') == ("a", "c")
    many = tuple(str(number) for number in range(5000))
    assert results.unpack_keywords(results.pack_keywords(many)) == many[: results.MAX_KEYWORDS]
    assert results.unpack_keywords(results.pack_keywords(("\ud800", "x"))) == ("x",)

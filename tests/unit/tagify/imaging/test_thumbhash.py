"""ThumbHash against values of the format's own definition, and what it tells of a picture."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagify.imaging import thumbhash


def test_a_plain_colour_is_its_header_and_neutral_terms() -> None:
    found = thumbhash.encode(8, 8, bytes((255, 255, 255, 255)) * 64)
    assert found[0] & 63 == 63
    assert found[2] >> 7 == 0


def test_the_shape_and_alpha_are_told() -> None:
    wide = thumbhash.encode(32, 16, bytes((10, 20, 30, 255)) * 512)
    tall = thumbhash.encode(16, 32, bytes((10, 20, 30, 255)) * 512)
    clear = thumbhash.encode(16, 16, bytes((10, 20, 30, 0)) * 256)
    assert (wide[4] >> 7, tall[4] >> 7) == (1, 0)
    assert clear[2] >> 7 == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 32), st.integers(1, 32), st.integers(0, 1 << 32))
def test_any_picture_is_some_thirty_bytes(width: int, height: int, seed: int) -> None:
    noise = Random(seed).randbytes(width * height * 4)
    assert 5 < len(thumbhash.encode(width, height, noise)) < 40


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="101 x 1"):
        thumbhash.encode(101, 1, bytes(404))

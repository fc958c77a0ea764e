"""ThumbHash: header bits by the definition of the format, length, and invalid input."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagify.imaging import thumbhash


def test_white_has_full_luminance_and_no_alpha() -> None:
    encoded = thumbhash.encode(8, 8, bytes((255, 255, 255, 255)) * 64)
    assert encoded[0] & 63 == 63
    assert encoded[2] >> 7 == 0


def test_the_header_has_the_orientation_and_the_alpha_flag() -> None:
    wide = thumbhash.encode(32, 16, bytes((10, 20, 30, 255)) * 512)
    tall = thumbhash.encode(16, 32, bytes((10, 20, 30, 255)) * 512)
    clear = thumbhash.encode(16, 16, bytes((10, 20, 30, 0)) * 256)
    assert (wide[4] >> 7, tall[4] >> 7) == (1, 0)
    assert clear[2] >> 7 == 1


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 32), st.integers(1, 32), st.integers(0, 1 << 32))
def test_the_hash_of_any_image_has_at_most_forty_bytes(width: int, height: int, seed: int) -> None:
    noise = Random(seed).randbytes(width * height * 4)
    assert 5 < len(thumbhash.encode(width, height, noise)) < 40


def test_an_image_that_is_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="101 x 1"):
        thumbhash.encode(101, 1, bytes(404))

"""Variant keys: URL paths and keys correspond one to one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.variants.key import THUMB, VariantKey, all_variant_keys, parse_path
from tagify.model import VARIANT_MIMES, Content

WIDTHS = (160, 320, 3072)
CONTENT = Content("ab" * 32)


def test_path_of_every_variant_is_parsed_to_its_key() -> None:
    for key in all_variant_keys(CONTENT, WIDTHS):
        assert parse_path(key.path, WIDTHS) == (None if key.width == THUMB else key)


@given(
    st.text("0123456789abcdefABCDEF", min_size=63, max_size=65) | st.just(CONTENT),
    st.integers(-1, 99_999).map(str) | st.sampled_from(["0320", "\u0663\u0662\u0660", "320 ", ""]),
    st.sampled_from([*VARIANT_MIMES, "JPG", "png", "jpg\n", ""]),
)
def test_parsed_key_has_the_parsed_path(content: str, width: str, extension: str) -> None:
    path = f"/media/{content}/{width}.{extension}"
    key = parse_path(path, WIDTHS)
    assert key is None or (key.path == path and key.width in WIDTHS)


@pytest.mark.parametrize("addition", ["?x=1", "#x", "/", " "])
def test_path_with_an_addition_is_no_variant(addition: str) -> None:
    path = VariantKey(CONTENT, 320, "webp").path
    assert parse_path(path, WIDTHS)
    assert parse_path(path + addition, WIDTHS) is None
    assert parse_path(addition + path, WIDTHS) is None

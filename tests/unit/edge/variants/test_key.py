"""A variant's path names it and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.variants.key import THUMB, VariantKey, all_variant_keys, parse_path
from tagify.model import VARIANT_MIMES, Content

WIDTHS = (160, 320, 3072)
CONTENT = Content("ab" * 32)


def test_every_path_of_the_ladder_names_its_variant() -> None:
    for wanted in all_variant_keys(CONTENT, WIDTHS):
        assert parse_path(wanted.path, WIDTHS) == (None if wanted.width == THUMB else wanted)


@given(
    st.text("0123456789abcdefABCDEF", min_size=63, max_size=65) | st.just(CONTENT),
    st.integers(-1, 99_999).map(str) | st.sampled_from(["0320", "\u0663\u0662\u0660", "320 ", ""]),
    st.sampled_from([*VARIANT_MIMES, "JPG", "png", "jpg\n", ""]),
)
def test_what_is_named_has_this_path(content: str, width: str, ending: str) -> None:
    path = f"/media/{content}/{width}.{ending}"
    wanted = parse_path(path, WIDTHS)
    assert wanted is None or (wanted.path == path and wanted.width in WIDTHS)


@pytest.mark.parametrize("more", ["?x=1", "#x", "/", " "])
def test_a_path_with_more_names_none(more: str) -> None:
    path = VariantKey(CONTENT, 320, "webp").path
    assert parse_path(path, WIDTHS)
    assert parse_path(path + more, WIDTHS) is None
    assert parse_path(more + path, WIDTHS) is None

"""Content negotiation: the format for an Accept header, and whether an image may be sent for an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.http.content_negotiation import FALLBACK, choose_format, expects_image
from tagify.model import VARIANT_MIMES


@given(st.text(max_size=60), st.lists(st.sampled_from(("avif", "webp")), unique=True).map(tuple))
def test_any_accept_header_gives_an_offered_format_or_the_fallback(
    accept: str, offered: tuple[str, ...]
) -> None:
    extension = choose_format(accept, offered)
    assert extension in VARIANT_MIMES
    assert extension in (*offered, FALLBACK)


@pytest.mark.parametrize(
    ("accept", "extension"),
    [
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "avif"),
        ("image/webp,*/*;q=0.8", "webp"),
        ("IMAGE/WEBP ; Q=0.3", "webp"),
        ("image/webp;q=0", "jpg"),
        ("image/*", "jpg"),
        ("*/*", "jpg"),
        ("", "jpg"),
    ],
)
def test_format_must_be_named_in_the_accept_header(accept: str, extension: str) -> None:
    assert choose_format(accept, ("avif", "webp")) == extension


@pytest.mark.parametrize(
    ("accept", "destination", "expected"),
    [
        ("image/avif,image/webp,*/*;q=0.8", "image", True),
        ("*/*", "image", True),
        ("image/webp,*/*", "", True),
        ("image/webp,*/*", "empty", False),
        ("text/html,application/xhtml+xml,image/avif,*/*", "", False),
        ("application/json", "", False),
        ("*/*", "", False),
    ],
)
def test_image_is_expected_only_by_image_elements(accept: str, destination: str, expected: bool) -> None:
    assert expects_image(accept, destination) is expected

"""CSRF: the own origin, whatever the spelling of another one."""

from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from tagify.web.csrf import is_own_origin


@given(st.text(max_size=60))
def test_only_the_own_origin_passes(origin: str) -> None:
    request = make_mocked_request("POST", "/", {"Host": "localhost:8000"})
    assert is_own_origin(origin, request, ()) is (
        origin in ("http://localhost:8000", "https://localhost:8000")
    )

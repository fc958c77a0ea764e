"""Compression by negotiation: what a client takes, what pays, and what comes back is what went in."""

import zlib

import brotli
import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from tagify.web import JsonBody
from tagify.web.compression import ENCODERS, negotiate_encoding

DECODERS = {"zstd": zstd.decompress, "br": brotli.decompress, "gzip": lambda body: zlib.decompress(body, 31)}


@pytest.mark.parametrize(
    ("accepted", "coder"),
    [
        ("", None),
        ("gzip, deflate", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("GZIP;Q=1.0, br;q=0.2", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0, *;q=0.5", "br"),
        ("identity", None),
        ("gzip;q=0", None),
        ("identity;q=0.5, gzip;q=0.2", None),
        ("br;q=x", None),
        ("deflate, compress", None),
    ],
)
def test_the_encoding_follows_the_weights_of_the_client(accepted: str, coder: str | None) -> None:
    assert negotiate_encoding(accepted) == coder


@given(st.text(max_size=300))
def test_any_accept_encoding_header_is_parsed(accepted: str) -> None:
    assert negotiate_encoding(accepted) in {None, *ENCODERS}


@pytest.mark.parametrize("coder", ENCODERS)
def test_a_long_body_is_compressed_without_loss(coder: str) -> None:
    data = [{"_id": f"{number:024x}"} for number in range(200)]
    answer = JsonBody(data).to_response(make_mocked_request("GET", "/", {"Accept-Encoding": coder}))
    assert isinstance(answer.body, bytes)
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == (coder, "Accept-Encoding")
    assert orjson.loads(DECODERS[coder](answer.body)) == data


def test_a_short_body_is_not_compressed() -> None:
    answer = JsonBody([1]).to_response(make_mocked_request("GET", "/", {"Accept-Encoding": "gzip"}))
    assert answer.body == b"[1]"
    assert "Content-Encoding" not in answer.headers


def test_a_matching_etag_gives_304_in_every_encoding() -> None:
    body = JsonBody(list(range(1000)))
    for coder in ("", *ENCODERS):
        first = body.to_response(make_mocked_request("GET", "/", {"Accept-Encoding": coder}))
        headers = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"}
        again = body.to_response(make_mocked_request("GET", "/", headers))
        assert (again.status, again.body, again.headers["ETag"]) == (304, None, first.headers["ETag"])

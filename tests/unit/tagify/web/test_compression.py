"""Compression: content negotiation, minimum size, lossless round trips."""

import zlib

import brotli
import orjson
import pytest
from aiohttp.test_utils import make_mocked_request
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from tagify.web import JsonBody
from tagify.web.compression import ENCODERS, negotiate_encoding

DECODERS = {"zstd": zstd.decompress, "br": brotli.decompress, "gzip": lambda body: zlib.decompress(body, 31)}


@pytest.mark.parametrize(
    ("accept_encoding", "encoding"),
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
def test_the_encoding_follows_the_weights_of_the_client(accept_encoding: str, encoding: str | None) -> None:
    assert negotiate_encoding(accept_encoding) == encoding


@given(st.text(max_size=300))
def test_any_accept_encoding_header_is_parsed(accept_encoding: str) -> None:
    assert negotiate_encoding(accept_encoding) in {None, *ENCODERS}


def test_accept_encoding_in_several_lines_is_one_list() -> None:
    headers = CIMultiDict([("Accept-Encoding", "gzip;q=0.5"), ("Accept-Encoding", "br")])
    response = JsonBody(["x" * 2000]).to_response(make_mocked_request("GET", "/", headers))
    assert response.headers["Content-Encoding"] == "br"


def test_an_entity_tag_in_the_second_line_gives_304() -> None:
    body = JsonBody([1])
    etag = body.to_response(make_mocked_request("GET", "/")).headers["ETag"]
    for lines, status in ((('"other"', etag), 304), ((etag, 'no"tag'), 200), (("*",), 304), (("",), 200)):
        headers = CIMultiDict([("If-None-Match", line) for line in lines])
        assert body.to_response(make_mocked_request("GET", "/", headers)).status == status


@pytest.mark.parametrize("encoding", ENCODERS)
def test_a_long_body_is_compressed_without_loss(encoding: str) -> None:
    data = [{"_id": f"{number:024x}"} for number in range(200)]
    response = JsonBody(data).to_response(make_mocked_request("GET", "/", {"Accept-Encoding": encoding}))
    assert isinstance(response.body, bytes)
    assert (response.headers["Content-Encoding"], response.headers["Vary"]) == (encoding, "Accept-Encoding")
    assert orjson.loads(DECODERS[encoding](response.body)) == data


def test_a_short_body_is_not_compressed() -> None:
    response = JsonBody([1]).to_response(make_mocked_request("GET", "/", {"Accept-Encoding": "gzip"}))
    assert response.body == b"[1]"
    assert "Content-Encoding" not in response.headers


def test_a_matching_etag_gives_304_in_every_encoding() -> None:
    body = JsonBody(list(range(1000)))
    for encoding in ("", *ENCODERS):
        first = body.to_response(make_mocked_request("GET", "/", {"Accept-Encoding": encoding}))
        headers = {"If-None-Match": first.headers["ETag"], "Accept-Encoding": "gzip"}
        again = body.to_response(make_mocked_request("GET", "/", headers))
        assert (again.status, again.body, again.headers["ETag"]) == (304, None, first.headers["ETag"])

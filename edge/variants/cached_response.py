"""Responses that are built once and sent many times: body and serialized head."""

from dataclasses import dataclass

from aiohttp import hdrs, web

from edge.http.headers import IMMUTABLE, media_headers
from tagify.web import RawResponse, response_head
from tagify.web.x_accel import CACHE_LOCATION, X_ACCEL_REDIRECT


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """Body, headers, and length of the body in bytes.

    `head` is the serialized head for a raw response; empty where NGINX sends the body.
    """

    body: bytes | bytearray
    headers: dict[str, str]
    size: int
    head: bytes = b""

    def to_response(self) -> web.Response:
        """A response for one request; its headers may be changed."""
        return _OneShotResponse(body=self.body, headers=self.headers)

    def to_raw_response(self, header_lines: str) -> RawResponse:
        """A raw response with additional header lines, for a request that RawResponse can answer."""
        return RawResponse(self.head, header_lines, self.body)


def immutable_response(body: bytes | bytearray, mime: str, etag: str) -> CachedResponse:
    """A response with an immutable URL, its body in memory."""
    headers = _headers(mime, etag)
    return CachedResponse(body, headers, len(body), response_head(headers, len(body)))


def x_accel_response(relative_path: str, size: int, mime: str, etag: str) -> CachedResponse:
    """A response with an immutable URL whose body NGINX sends, from a file of the disk cache."""
    headers = _headers(mime, etag) | {X_ACCEL_REDIRECT: CACHE_LOCATION + relative_path}
    return CachedResponse(b"", headers, size)


class _OneShotResponse(web.Response):
    """Releases its body once it is sent: an idle connection keeps its last response."""

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        self.body = None


def _headers(mime: str, etag: str) -> dict[str, str]:
    return media_headers(etag, IMMUTABLE) | {hdrs.CONTENT_TYPE: mime}

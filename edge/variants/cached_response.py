"""Answers that are made once and sent many times: body and head as they go out."""

from dataclasses import dataclass

from aiohttp import hdrs, web

from edge.http.headers import IMMUTABLE, media_headers
from tagify.web import RawResponse, response_head
from tagify.web.x_accel import CACHE_LOCATION, X_ACCEL_REDIRECT


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A whole body, its headers, and its length in bytes.

    `head` is that of a prebuilt answer; one whose body NGINX sends has none.
    """

    body: bytes | bytearray
    headers: dict[str, str]
    size: int
    head: bytes = b""

    def to_response(self) -> web.Response:
        """The answer for one request; headers put on it are that request's alone."""
        return _BodyReleasingResponse(body=self.body, headers=self.headers)

    def to_prebuilt(self, header_lines: str) -> RawResponse:
        """The same, with these lines in its head, for a request that it fits."""
        return RawResponse(self.head, header_lines, self.body)


def immutable_response(body: bytes | bytearray, mime: str, etag: str) -> CachedResponse:
    """The answer for a URL that names the content."""
    headers = _headers(mime, etag)
    return CachedResponse(body, headers, len(body), response_head(headers, len(body)))


def x_accel_response(relative_path: str, size: int, mime: str, etag: str) -> CachedResponse:
    """The same where NGINX sends the body: from a file of the cache, under the name that it has there."""
    headers = _headers(mime, etag) | {X_ACCEL_REDIRECT: CACHE_LOCATION + relative_path}
    return CachedResponse(b"", headers, size)


class _BodyReleasingResponse(web.Response):
    """An answer that lets its body go once that is sent: the connection holds the answer until the next."""

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        self.body = None


def _headers(mime: str, etag: str) -> dict[str, str]:
    return media_headers(etag, IMMUTABLE) | {hdrs.CONTENT_TYPE: mime}

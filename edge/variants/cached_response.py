"""Answers that are made once and sent many times: body and head as they go out."""

from dataclasses import dataclass

from aiohttp import hdrs, web

from edge.http.headers import IMMUTABLE, media_headers
from tagify.web import RawResponse, response_head
from tagify.web.x_accel import CACHE_LOCATION, X_ACCEL_REDIRECT


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole body, its headers, and its length in bytes.

    `head` is that of a prebuilt answer; one whose body NGINX sends has none.
    """

    body: bytes | bytearray
    headers: dict[str, str]
    size: int
    head: bytes = b""

    def response(self) -> web.Response:
        """The answer for one request; headers put on it are that request's alone."""
        return _Whole(body=self.body, headers=self.headers)

    def prebuilt(self, lines: str) -> RawResponse:
        """The same, with these lines in its head, for a request that it fits."""
        return RawResponse(self.head, lines, self.body)


def immutable_answer(body: bytes | bytearray, mime: str, etag: str) -> Answer:
    """The answer for a URL that names the content."""
    headers = _headers(mime, etag)
    return Answer(body, headers, len(body), response_head(headers, len(body)))


def handed_answer(name: str, size: int, mime: str, etag: str) -> Answer:
    """The same where NGINX sends the body: from a file of the cache, under the name that it has there."""
    headers = _headers(mime, etag) | {X_ACCEL_REDIRECT: CACHE_LOCATION + name}
    return Answer(b"", headers, size)


class _Whole(web.Response):
    """An answer that lets its body go once that is sent: the connection holds the answer until the next."""

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        self.body = None


def _headers(mime: str, etag: str) -> dict[str, str]:
    return media_headers(etag, IMMUTABLE) | {hdrs.CONTENT_TYPE: mime}

"""Answers that are made once and sent many times: body and headers as they go out."""

from dataclasses import dataclass

from aiohttp import hdrs, web
from multidict import CIMultiDict

from edge.headers import IMMUTABLE, media_headers
from tagify.web.accel import CACHED, X_ACCEL_REDIRECT


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole body, its headers, and its length in bytes."""

    body: bytes | bytearray
    headers: CIMultiDict[str]
    size: int

    @property
    def etag(self) -> str:
        """Its entity tag."""
        return self.headers[hdrs.ETAG]

    def response(self) -> web.Response:
        """The answer for one request; headers put on it are that request's alone."""
        return web.Response(body=self.body, headers=self.headers)


def immutable_answer(body: bytes | bytearray, mime: str, etag: str) -> Answer:
    """The answer for a URL that names the content."""
    return Answer(body, _headers(mime, etag), len(body))


def handed_answer(name: str, size: int, mime: str, etag: str) -> Answer:
    """The same where NGINX sends the body: from a file of the cache, under the name that it has there."""
    headers = _headers(mime, etag)
    headers[X_ACCEL_REDIRECT] = CACHED + name
    return Answer(b"", headers, size)


def _headers(mime: str, etag: str) -> CIMultiDict[str]:
    headers = CIMultiDict(media_headers(etag, IMMUTABLE))
    headers[hdrs.CONTENT_TYPE] = mime
    return headers

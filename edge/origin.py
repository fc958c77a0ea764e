"""Originals from the object store, streamed: memory does not depend on their size."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs

from edge.ranges import Range
from tagify.blobs import Blobs
from tagify.errors import NotFound, Unavailable
from tagify.metrics import Histogram
from tagify.model import Bucket, Content

CHUNK = 64 << 10
LIFETIME = timedelta(minutes=5)
"""A signed URL is used at once; its lifetime allows for clocks that differ."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says of an object."""

    length: int
    modified: datetime
    mime: str


class Origin:
    """The object store as the edge reads it."""

    def __init__(self, session: aiohttp.ClientSession, blobs: Blobs, seconds: Histogram) -> None:
        self._session = session
        self._blobs = blobs
        self._seconds = seconds

    async def facts(self, bucket: Bucket, content: Content) -> Facts:
        """Length, time and type of an object. Raises NotFound, Unavailable."""
        async with self._asked("HEAD", bucket, content, {}, HTTPStatus.OK) as response:
            return Facts(
                int(response.headers[hdrs.CONTENT_LENGTH]),
                _modified(response),
                response.headers.get(hdrs.CONTENT_TYPE, "application/octet-stream"),
            )

    @asynccontextmanager
    async def opened(
        self, bucket: Bucket, content: Content, part: Range | None = None
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of an object, or of a part of it, as they come; leaving the block ends the transfer.

        Raises NotFound, Unavailable; while they come, Unavailable where the transfer breaks.
        """
        headers: dict[str, str] = {hdrs.RANGE: f"bytes={part.first}-{part.last}"} if part else {}
        wanted = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
        async with self._asked("GET", bucket, content, headers, wanted) as response:
            yield _chunks(response)

    @asynccontextmanager
    async def _asked(
        self, method: str, bucket: Bucket, content: Content, headers: dict[str, str], wanted: HTTPStatus
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        url = self._blobs.presign(bucket, content, LIFETIME, method)
        try:
            with self._seconds.timed(method=method):
                response = await self._session.request(method, url, headers=headers)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the S3 server does not answer") from error
        async with response:
            if response.status == HTTPStatus.NOT_FOUND:
                raise NotFound("there is no such content")
            if response.status != wanted:
                raise Unavailable(f"the S3 server answered {response.status}")
            yield response


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_chunked(CHUNK):
            yield chunk
    except (aiohttp.ClientError, TimeoutError) as error:
        raise Unavailable("the S3 server broke off") from error


def _modified(response: aiohttp.ClientResponse) -> datetime:
    try:
        return parsedate_to_datetime(response.headers.get(hdrs.LAST_MODIFIED, ""))
    except ValueError:
        return EPOCH

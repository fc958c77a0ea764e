"""Objects from the store: originals streamed, so that memory does not depend on their size; thumbs whole."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs
from yarl import URL

from edge.circuit import Circuit
from edge.headers import OPAQUE
from edge.kept import Kept
from edge.ranges import Range
from edge.transfer import Transfer
from tagify.blobs import Blob, Blobs
from tagify.errors import Busy, NotFound, Unavailable
from tagify.logs import request_id
from tagify.metrics import Counter, Gauge, Histogram
from tagify.model import Bucket, Content
from tagify.web import REQUEST_ID

UPSTREAMS = 100
"""Transfers from the S3 server at the same time, at most."""

READ_BUFFER = 256 << 10
"""Bytes of a transfer that wait for a slow client, in bytes; at most three times this is held."""

LIFETIME = timedelta(minutes=10)
"""Of a signed URL: it allows for clocks that differ."""

REUSE_S = 120.0
"""Signing costs more than asking: a signed URL is used again for this long, in seconds."""

SIGNED = 2048
"""Signed URLs that are kept."""

LARGEST_THUMB = 16 << 20
"""A thumb of more bytes than this is none that we made."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the store says of an object."""

    length: int
    mime: str
    modified: datetime


class Origin:
    """The objects of the store as the edge reads them, over bounded connections."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        blobs: Blobs,
        circuit: Circuit,
        *,
        seconds: Histogram,
        received: Counter,
        transfers: Gauge,
        wait_s: float,
    ) -> None:
        self._session = session
        self._blobs = blobs
        self._circuit = circuit
        self._seconds = seconds
        self._received = received
        self._transfers = transfers
        self.silence_s = wait_s
        self._slots = asyncio.Semaphore(UPSTREAMS)
        self._signed: Kept[tuple[str, Bucket, Content], URL] = Kept(SIGNED, REUSE_S)

    async def facts(self, content: Content) -> Facts:
        """Length, type and time of an object. Raises NotFound, Unavailable, Busy."""
        async with self._asked(hdrs.METH_HEAD, Bucket.ORIGINALS, content, {}, HTTPStatus.OK) as response:
            mime = response.headers.get(hdrs.CONTENT_TYPE, OPAQUE)
            return Facts(_length(response), mime, _modified(response))

    async def thumb(self, content: Content) -> Blob:
        """The stored thumb. Raises NotFound, Unavailable, Busy."""
        async with self._asked(hdrs.METH_GET, Bucket.THUMBS, content, {}, HTTPStatus.OK) as response:
            length = _length(response)
            if not 0 < length <= LARGEST_THUMB:
                raise Unavailable("the S3 server holds no thumb under its name")
            async with self._transferred(response, length) as transfer:
                data = await transfer.all()
            return Blob(data, response.headers.get(hdrs.CONTENT_TYPE, OPAQUE))

    @asynccontextmanager
    async def opened(
        self, content: Content, length: int, part: Range | None = None
    ) -> AsyncIterator[Transfer]:
        """An object of this length, or a part of it; leaving the block ends the transfer.

        Raises NotFound, Busy, and Unavailable, also where the object is not what it should be.
        """
        headers: dict[str, str] = {hdrs.RANGE: f"bytes={part.first}-{part.last}"} if part else {}
        wanted = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
        async with self._asked(hdrs.METH_GET, Bucket.ORIGINALS, content, headers, wanted) as response:
            expected = part.length if part else length
            if _length(response) != expected or (
                part and response.headers.get(hdrs.CONTENT_RANGE) != part.of(length)
            ):
                raise Unavailable("the S3 server holds another length than the catalog")
            async with self._transferred(response, expected) as transfer:
                yield transfer

    @asynccontextmanager
    async def _transferred(self, response: aiohttp.ClientResponse, length: int) -> AsyncIterator[Transfer]:
        transfer = Transfer(response, length)
        try:
            yield transfer
        finally:
            self._received.add(transfer.received)

    @asynccontextmanager
    async def _asked(
        self, method: str, bucket: Bucket, content: Content, headers: dict[str, str], wanted: HTTPStatus
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        await self._room()
        try:
            with self._transfers.held():
                with self._circuit.call():
                    response = await self._request(method, bucket, content, headers)
                async with response:
                    _check(response, wanted)
                    yield response
        finally:
            self._slots.release()

    async def _request(
        self, method: str, bucket: Bucket, content: Content, headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        try:
            with self._seconds.timed(method=method):
                response = await self._session.request(
                    method,
                    self._url(method, bucket, content),
                    # So that the store's log can be read beside ours.
                    headers={REQUEST_ID: request_id.get(), **headers},
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the S3 server does not answer") from error
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            response.close()
            raise Unavailable(f"the S3 server answered {response.status}")
        return response

    async def _room(self) -> None:
        """Return with one of the slots. Raises Busy."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self.silence_s):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Busy(f"{UPSTREAMS} transfers are under way already") from error

    def _url(self, method: str, bucket: Bucket, content: Content) -> URL:
        url = self._signed.get((method, bucket, content))
        if url is None:
            url = URL(self._blobs.presign(bucket, content, LIFETIME, method), encoded=True)
            self._signed.put((method, bucket, content), url)
        return url


def _check(response: aiohttp.ClientResponse, wanted: HTTPStatus) -> None:
    if response.status == HTTPStatus.NOT_FOUND:
        raise NotFound("there is no such content")
    if response.status != wanted:
        raise Unavailable(f"the S3 server answered {response.status}")


def _length(response: aiohttp.ClientResponse) -> int:
    """What it says of its length; -1 where it says nothing."""
    text = response.headers.get(hdrs.CONTENT_LENGTH, "")
    return int(text) if text.isascii() and text.isdigit() else -1


def _modified(response: aiohttp.ClientResponse) -> datetime:
    try:
        return parsedate_to_datetime(response.headers.get(hdrs.LAST_MODIFIED, "")).astimezone(UTC)
    except (ValueError, OverflowError):
        return EPOCH


def upstream_session(silence_s: float) -> aiohttp.ClientSession:
    """A client for the S3 server that gives up after this long a silence; Origin bounds its connections."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=silence_s, sock_connect=silence_s, sock_read=silence_s
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=(hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING),
        auto_decompress=False,
        read_bufsize=READ_BUFFER,
    )

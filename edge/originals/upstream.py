"""Reads objects from the object store: originals as streams, in constant memory; thumbs whole."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from aiohttp import hdrs
from yarl import URL

from edge.http.ranges import ByteRange
from edge.originals.transfer import Transfer
from tagify.concurrency.circuit_breaker import CircuitBreaker
from tagify.concurrency.limiter import TimedSemaphore
from tagify.concurrency.ttl_cache import TTLCache
from tagify.errors import NotFound, Unavailable
from tagify.logs import request_id
from tagify.metrics import Counter, Histogram
from tagify.model import Bucket, Content
from tagify.storage.monitoring import S3Operation
from tagify.storage.store import ObjectStore, StoredObject
from tagify.web import REQUEST_ID

READ_BUFFER_BYTES = 256 << 10
"""Read buffer of one transfer, in bytes. A slow client fills it; at most three times this is in memory."""

URL_LIFETIME = timedelta(minutes=10)
"""Lifetime of a presigned URL: long enough for clocks that differ."""

URL_REUSE_S = 120.0
"""How long a presigned URL is reused, in seconds: signing costs more than the request itself."""

URL_CACHE_SIZE = 2048
"""Presigned URLs in the cache, at most."""

MAX_THUMB_BYTES = 16 << 20
"""Maximum size of a thumb, in bytes: ingest stores none that is larger."""

MAX_TRANSFERS = 100
"""Concurrent transfers from the S3 server."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ObjectMetadata:
    """Length in bytes, media type and modification time of a stored object."""

    length: int
    mime: str
    modified: datetime


class Upstream:
    """HTTP client of the object store: bounded connections, presigned requests, a circuit breaker."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        store: ObjectStore,
        circuit: CircuitBreaker,
        connections: TimedSemaphore,
        *,
        seconds: Histogram,
        received: Counter,
        read_timeout_s: float,
    ) -> None:
        self._session = session
        self._store = store
        self._circuit = circuit
        self._connections = connections
        self._seconds = {method: seconds.bind(method=method) for method in (hdrs.METH_GET, hdrs.METH_HEAD)}
        self._received = received.bind()
        self.read_timeout_s = read_timeout_s
        self._url_cache: TTLCache[tuple[str, Bucket, Content], URL] = TTLCache(URL_CACHE_SIZE, URL_REUSE_S)

    async def head(self, content: Content) -> ObjectMetadata:
        """Metadata of an original, by a HEAD request. Raises NotFound, Unavailable, Busy."""
        with await self._open(hdrs.METH_HEAD, Bucket.ORIGINALS, content) as transfer:
            return ObjectMetadata(transfer.length, transfer.mime, _parse_http_date(transfer.last_modified))

    async def fetch_thumb(self, content: Content) -> StoredObject:
        """The stored thumb. Raises NotFound, Unavailable, Busy."""
        with await self._open(hdrs.METH_GET, Bucket.THUMBS, content) as transfer:
            if not 0 < transfer.length <= MAX_THUMB_BYTES:
                raise Unavailable("the S3 server returned a thumbnail that is empty or too large")
            return StoredObject(await transfer.read_all(), transfer.mime)

    async def open_original(
        self, content: Content, length: int, byte_range: ByteRange | None = None
    ) -> Transfer:
        """Request an original of this length, or a byte range of it. The caller closes the transfer.

        Raises NotFound, Busy, and Unavailable, also where length or range differ from those expected.
        """
        transfer = await self._open(hdrs.METH_GET, Bucket.ORIGINALS, content, byte_range)
        expected = byte_range or ByteRange(0, length - 1)
        if transfer.length == expected.length and (
            byte_range is None or transfer.content_range == byte_range.content_range(length)
        ):
            return transfer
        transfer.close()
        raise Unavailable("the object's length differs from the catalog's")

    async def _open(
        self, method: str, bucket: Bucket, content: Content, byte_range: ByteRange | None = None
    ) -> Transfer:
        await self._connections.acquire()
        try:
            with (
                self._circuit.call(),
                self._store.monitor.operation(method.lower(), f"{bucket.value}/{content}"),
            ):
                response = await self._request(
                    method, self._presigned_url(method, bucket, content), byte_range
                )
        except BaseException:
            self._connections.release()
            raise
        transfer = Transfer(response, lambda closed: self._on_close(closed, f"{bucket.value}/{content}"))
        if response.status == (HTTPStatus.PARTIAL_CONTENT if byte_range else HTTPStatus.OK):
            return transfer
        transfer.close()
        if response.status == HTTPStatus.NOT_FOUND:
            raise NotFound("no such content")
        raise Unavailable(f"the S3 server returned {response.status}")

    def _on_close(self, transfer: Transfer, item: str) -> None:
        self._received(transfer.received)
        self._connections.release()
        self._store.monitor.record(S3Operation(self._store.monitor, "read", item), transfer.waited_s, "ok")

    async def _request(self, method: str, url: URL, byte_range: ByteRange | None) -> aiohttp.ClientResponse:
        # The request id correlates the store's log with ours.
        headers = {REQUEST_ID: request_id.get()}
        if byte_range:
            headers[hdrs.RANGE] = f"bytes={byte_range.first}-{byte_range.last}"
        start = time.perf_counter()
        try:
            response = await self._session.request(method, url, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable("the S3 server does not respond") from error
        finally:
            self._seconds[method](time.perf_counter() - start)
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            response.close()
            raise Unavailable(f"the S3 server returned {response.status}")
        return response

    def _presigned_url(self, method: str, bucket: Bucket, content: Content) -> URL:
        url = self._url_cache.get((method, bucket, content))
        if url is None:
            url = URL(self._store.presign(bucket, content, URL_LIFETIME, method), encoded=True)
            self._url_cache.put((method, bucket, content), url)
        return url


def _parse_http_date(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return EPOCH


def upstream_session(timeout_s: float) -> aiohttp.ClientSession:
    """An HTTP session for the S3 server. `timeout_s` bounds connecting and each read.

    Its connections are not limited here: Upstream limits them.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(
            total=None, connect=timeout_s, sock_connect=timeout_s, sock_read=timeout_s
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={hdrs.ACCEPT_ENCODING: "identity"},
        auto_decompress=False,
        read_bufsize=READ_BUFFER_BYTES,
    )

"""Client of the S3 object store: originals and thumbs, addressed by content.

The same bytes are stored once, and an object is never overwritten with other bytes. The `minio` client
blocks, so it runs in a thread pool.
"""

import asyncio
import hashlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import BinaryIO, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import minio
import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import NotFound, Unavailable
from tagify.metrics import Metrics
from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage._compat import Credentials, utcnow
from tagify.storage.keys import ObjectKeys
from tagify.storage.monitoring import S3Monitor, operation_name
from tagify.storage.presign import UrlSigner
from tagify.storage.upload import Uploader

P = ParamSpec("P")
T = TypeVar("T")

MAX_SINGLE_PUT = 64 << 20
"""Maximum number of bytes that are uploaded in one request; more go up in parts."""

_SIGNATURE_ERRORS = (
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "RequestTimeTooSkewed",
    "AuthorizationQueryParametersError",
    "InvalidSignature",
)
"""Codes by which stores refuse a signature."""

_NOT_FOUND = {"NoSuchKey", "NoSuchObject", "NoSuchBucket"}
_OWNED = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The bytes of an object and the media type it was stored with."""

    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An entry of a listing; `length` in bytes. `content` is None if the key is not one of ours."""

    key: str
    modified: datetime
    length: int
    content: Content | None


class ObjectStore:
    """The originals and thumbs in the S3 store. Methods that send requests raise Unavailable or Busy."""

    def __init__(self, settings: CommonSettings, metrics: Metrics | None = None, *, threads: int = 8) -> None:
        self.monitor = S3Monitor(metrics or Metrics(), settings.slow_s3_s)
        parts = urlsplit(settings.s3_endpoint)
        self._timeout_s = settings.s3_timeout_s
        self._endpoint = settings.s3_endpoint
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(3.0, self._timeout_s), read=self._timeout_s),
            maxsize=threads,
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        self._signer = UrlSigner(
            settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )
        credentials = Credentials(
            settings.s3_access_key.get_secret_value() or "-", settings.s3_secret_key.get_secret_value() or "-"
        )
        self._uploader = Uploader(settings.s3_endpoint, settings.s3_region, credentials, self._pool)
        self._client = minio.Minio(
            parts.netloc,
            access_key=settings.s3_access_key.get_secret_value() or None,
            secret_key=settings.s3_secret_key.get_secret_value() or None,
            secure=parts.scheme == "https",
            region=settings.s3_region,
            http_client=self._pool,
        )
        self._keys = ObjectKeys(settings)
        self._buckets = self._keys.bucket_names
        self._threads = ThreadPool("s3", threads)

    def object_key(self, bucket: Bucket, content: Content) -> str:
        """The key of the object with this content."""
        return self._keys.object_key(bucket, content)

    async def ensure_buckets(self) -> None:
        """Create the buckets that do not exist."""
        for name in self._buckets.values():
            await self._run(self._ensure_bucket, name)

    async def ping(self) -> None:
        """Check that the store answers and the buckets exist. Raises Unavailable otherwise."""
        for name in self._buckets.values():
            if not await self._run(self._client.bucket_exists, name):
                raise Unavailable(f"bucket {name} does not exist")
        await self._run(self._check_presigned_url)

    def _check_presigned_url(self) -> None:
        """Request an object by a pre-signed URL, as the edge does. Raises Unavailable if it is refused."""
        url = self.presign(Bucket.ORIGINALS, Content("0" * 64), timedelta(minutes=1))
        response = self._pool.request("GET", url, redirect=False, headers={"Range": "bytes=0-0"})
        refusal = next((code for code in _SIGNATURE_ERRORS if code.encode() in response.data), None)
        if response.status >= HTTPStatus.BAD_REQUEST and refusal:
            raise Unavailable(
                f"the S3 server refuses pre-signed URLs ({refusal}): check TAGIFY_S3_ENDPOINT, the keys, the "
                "region, the clock, and whether a proxy in front changes the Host header"
            )

    async def clock_skew(self) -> timedelta:
        """The difference between the clock of the store and that of this machine; positive if it is ahead."""
        return await self._run(self._clock_skew)

    async def exists(self, bucket: Bucket, content: Content) -> bool:
        """Whether the object exists."""
        try:
            await self.object_size(bucket, content)
        except NotFound:
            return False
        return True

    async def object_size(self, bucket: Bucket, content: Content) -> int:
        """The length of the object in bytes. Raises NotFound."""
        stat = await self._run(
            self._client.stat_object, self._buckets[bucket], self.object_key(bucket, content)
        )
        return stat.size or 0

    async def upload(self, bucket: Bucket, content: Content, data: bytes, mime: str) -> None:
        """Store the bytes unless the object exists. Returns once the store has acknowledged them.

        The store verifies them: if it received others, nothing is stored, and Unavailable is raised.
        """
        if len(data) > MAX_SINGLE_PUT:
            await self.upload_stream(bucket, content, io.BytesIO(data), len(data), mime)
            return
        # The content is the hash of an original.
        digest = content if bucket is Bucket.ORIGINALS else hashlib.sha256(data).hexdigest()
        await self._run(self._uploader.put, self._keys.url_path(bucket, content), data, digest, mime)

    async def upload_stream(
        self, bucket: Bucket, content: Content, stream: BinaryIO, length: int, mime: str
    ) -> None:
        """Store `length` bytes, read from the stream in a thread, in parts that the store verifies.

        An error raised by the stream's `read` is raised here, and nothing is stored.
        """
        path = self._keys.url_path(bucket, content)
        await self._run(self._uploader.put_parts, path, stream, length, mime)

    async def download(self, bucket: Bucket, content: Content) -> StoredObject:
        """The object with all of its bytes. Raises NotFound."""
        return await self._run(self._get, self._buckets[bucket], self.object_key(bucket, content))

    async def delete(self, bucket: Bucket, content: Content) -> None:
        """Delete the object, if it exists."""
        await self._run(self._client.remove_object, self._buckets[bucket], self.object_key(bucket, content))

    async def list_objects(self, bucket: Bucket, after: str, limit: int) -> list[ListedObject]:
        """Up to `limit` objects in order of their keys, after the key `after` (`""`: from the first)."""
        return await self._run(self._list_page, self._buckets[bucket], after, limit)

    async def delete_key(self, bucket: Bucket, key: str) -> None:
        """Delete an object by its key, as a listing returned it, if it exists."""
        await self._run(self._client.remove_object, self._buckets[bucket], key)

    def presign(self, bucket: Bucket, content: Content, lifetime: timedelta, method: str = "GET") -> str:
        """A pre-signed URL that is valid for `lifetime`. Signed here, without a request to the store."""
        context = self._signer.context(utcnow(), lifetime, method=method)
        return context.sign(self._keys.url_path(bucket, content))

    async def close(self) -> None:
        """Wait for running calls, and close the connections."""
        await self._threads.close()
        self._pool.clear()

    def _list_page(self, bucket: str, after: str, limit: int) -> list[ListedObject]:
        objects = self._client.list_objects(
            bucket, prefix=self._keys.prefix or None, recursive=True, start_after=after or None
        )
        return [
            ListedObject(
                item.object_name,
                item.last_modified,
                item.size or 0,
                self._keys.content_of(item.object_name),
            )
            for item in itertools.islice(objects, limit)
            if item.object_name and item.last_modified
        ]

    def _clock_skew(self) -> timedelta:
        response = self._pool.request("GET", self._endpoint, retries=False)
        response.drain_conn()
        server_time = parsedate_to_datetime(response.headers["Date"])
        return server_time - datetime.now(UTC)

    def _ensure_bucket(self, name: str) -> None:
        if self._client.bucket_exists(name):
            return
        try:
            self._client.make_bucket(name)
        except S3Error as error:
            # Three services start at the same time, and another one has created it meanwhile.
            if error.code not in _OWNED:
                raise

    def _get(self, bucket: str, key: str) -> StoredObject:
        response = self._client.get_object(bucket, key)
        try:
            return StoredObject(
                response.read(), response.headers.get("Content-Type", "application/octet-stream")
            )
        finally:
            response.close()
            response.release_conn()

    async def _run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        def run() -> T:
            operation.started()
            return call(*args, **kwargs)

        with self.monitor.operation(operation_name(call), _object_of(args)) as operation:
            return await self._run_mapping_errors(run)

    async def _run_mapping_errors(self, call: Callable[[], T]) -> T:
        try:
            # The timeouts of a connection do not end a response that trickles in byte by byte.
            async with asyncio.timeout(self._timeout_s * 12):
                return await self._threads.run(call)
        except S3Error as error:
            if error.code in _NOT_FOUND:
                raise NotFound("no such object") from error
            raise Unavailable(f"the S3 server refused the request: {error.code}") from error
        except (HTTPError, ServerError, InvalidResponseError, MinioException, TimeoutError) as error:
            raise Unavailable("the S3 server does not answer") from error


def _object_of(arguments: tuple[object, ...]) -> str:
    """The bucket and key, or the URL path, that a call is for; empty without one."""
    return "/".join(part for part in arguments[:2] if isinstance(part, str)).strip("/")


def as_binary(stream: object) -> BinaryIO:
    """An object with a `read(size)` method, typed as the stream that `upload_stream` takes."""
    return cast(BinaryIO, stream)

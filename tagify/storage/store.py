"""Originals and thumbs in an S3 store, by content.

The same bytes are stored once, and no object is ever overwritten with other bytes. The
`minio` client is synchronous; it runs in a few threads.
"""

import asyncio
import hashlib
import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import BinaryIO, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import minio
import urllib3
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3.exceptions import HTTPError

from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import NotFound, Unavailable
from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage._compat import Credentials, sign_v4_s3, to_amz_date, utcnow
from tagify.storage.keys import ObjectKeys
from tagify.storage.presign import UrlSigner

P = ParamSpec("P")
T = TypeVar("T")

MAX_SINGLE_PUT = 64 << 20
"""Bytes in memory up to this length go up in one request."""

PART_SIZE = 16 << 20
"""Streams longer than this go up in parts of this size; memory for an upload is one part."""

_GONE = {"NoSuchKey", "NoSuchObject", "NoSuchBucket"}
_STORED = {200, 412}
"""Stored now, or there already."""

_OWNED = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The bytes of a whole object and the media type they were stored with."""

    data: bytes
    mime: str


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in a listing, of `length` bytes. `content` is None where its key is none of ours."""

    key: str
    modified: datetime
    length: int
    content: Content | None


class ObjectStore:
    """The object store of one process."""

    def __init__(self, settings: CommonSettings, *, threads: int = 8) -> None:
        parts = urlsplit(settings.s3_endpoint)
        self._timeout_s = settings.s3_timeout_s
        self._endpoint = settings.s3_endpoint
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=min(3.0, self._timeout_s), read=self._timeout_s),
            maxsize=threads,
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
        )
        self._region = settings.s3_region
        self._signer = UrlSigner(
            settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )
        self._credentials = Credentials(
            settings.s3_access_key.get_secret_value() or "-", settings.s3_secret_key.get_secret_value() or "-"
        )
        self._client = minio.Minio(
            parts.netloc,
            access_key=settings.s3_access_key.get_secret_value() or None,
            secret_key=settings.s3_secret_key.get_secret_value() or None,
            secure=parts.scheme == "https",
            region=settings.s3_region,
            http_client=self._pool,
        )
        self._objects = ObjectKeys(settings)
        self._names = self._objects.bucket_names
        self._threads = ThreadPool("blobs", threads)

    def object_key(self, bucket: Bucket, content: Content) -> str:
        """Where the object of this content lies in its bucket."""
        return self._objects.object_key(bucket, content)

    async def ensure_buckets(self) -> None:
        """Make the buckets that are not there. Raises Unavailable."""
        for name in self._names.values():
            await self._run(self._ensure_bucket, name)

    async def ping(self) -> None:
        """Return when the store answers and the buckets are there. Raises Unavailable otherwise."""
        for name in self._names.values():
            if not await self._run(self._client.bucket_exists, name):
                raise Unavailable(f"bucket {name} is not there")

    async def clock_skew(self) -> timedelta:
        """How far the store's clock is ahead of this machine's. Raises Unavailable."""
        return await self._run(self._clock_skew)

    async def exists(self, bucket: Bucket, content: Content) -> bool:
        """Whether the object is stored. Raises Unavailable."""
        try:
            await self.object_size(bucket, content)
        except NotFound:
            return False
        return True

    async def object_size(self, bucket: Bucket, content: Content) -> int:
        """The object's length in bytes. Raises NotFound, Unavailable."""
        stat = await self._run(
            self._client.stat_object, self._names[bucket], self.object_key(bucket, content)
        )
        return stat.size or 0

    async def upload(self, bucket: Bucket, content: Content, data: bytes, mime: str) -> None:
        """Store these bytes where none are. Returns once the store has them safe. Raises Unavailable."""
        if len(data) > MAX_SINGLE_PUT:
            await self.upload_stream(bucket, content, io.BytesIO(data), len(data), mime)
            return
        # The bytes of an original have been hashed already: the store checks them by that.
        digest = content if bucket is Bucket.ORIGINALS else hashlib.sha256(data).hexdigest()
        await self._run(self._put, self._objects.url_path(bucket, content), data, digest, mime)

    async def upload_stream(
        self, bucket: Bucket, content: Content, stream: BinaryIO, length: int, mime: str
    ) -> None:
        """Store `length` bytes read from the stream in a thread.

        An error raised by the stream's `read` passes through, and nothing is stored. Raises Unavailable.
        """
        await self._run(
            self._client.put_object,
            self._names[bucket],
            self.object_key(bucket, content),
            stream,
            length,
            content_type=mime,
            part_size=PART_SIZE,
            num_parallel_uploads=1,
        )

    async def download(self, bucket: Bucket, content: Content) -> StoredObject:
        """The whole object. Raises NotFound, Unavailable."""
        return await self._run(self._get, self._names[bucket], self.object_key(bucket, content))

    async def delete(self, bucket: Bucket, content: Content) -> None:
        """Remove the object; none there is no error. Raises Unavailable."""
        await self._run(self._client.remove_object, self._names[bucket], self.object_key(bucket, content))

    async def list_objects(self, bucket: Bucket, after: str, limit: int) -> list[ListedObject]:
        """Up to `limit` objects behind the key `after` (`""`: from the first). Raises Unavailable."""
        return await self._run(self._listed, self._names[bucket], after, limit)

    async def delete_key(self, bucket: Bucket, key: str) -> None:
        """Remove an object that a listing told of; none there is no error. Raises Unavailable."""
        await self._run(self._client.remove_object, self._names[bucket], key)

    def presign(self, bucket: Bucket, content: Content, lifetime: timedelta, method: str = "GET") -> str:
        """A URL that anybody may use for that long. Signed here, without asking the store."""
        stamp = self._signer.context(utcnow(), lifetime, method=method)
        return stamp.sign(self._objects.url_path(bucket, content))

    async def close(self) -> None:
        """End the threads and the connections."""
        await self._threads.close()
        self._pool.clear()

    def _listed(self, bucket: str, after: str, limit: int) -> list[ListedObject]:
        objects = self._client.list_objects(
            bucket, prefix=self._objects.prefix or None, recursive=True, start_after=after or None
        )
        return [
            ListedObject(
                item.object_name,
                item.last_modified,
                item.size or 0,
                self._objects.content_of(item.object_name),
            )
            for item in itertools.islice(objects, limit)
            if item.object_name and item.last_modified
        ]

    def _clock_skew(self) -> timedelta:
        response = self._pool.request("GET", self._endpoint, retries=False)
        response.drain_conn()
        there = parsedate_to_datetime(response.headers["Date"])
        return there - datetime.now(UTC)

    def _ensure_bucket(self, name: str) -> None:
        if self._client.bucket_exists(name):
            return
        try:
            self._client.make_bucket(name)
        except S3Error as error:
            # Three services start at once, and one of them is first.
            if error.code not in _OWNED:
                raise

    def _put(self, path: str, data: bytes, digest: str, mime: str) -> None:
        """One signed request, refused by the store where there is such an object.

        The client's own `put_object` would hash the bytes once more, and can set no condition.
        """
        url, now = urlsplit(self._endpoint + path), utcnow()
        signed = sign_v4_s3(
            method="PUT",
            url=url,
            region=self._region,
            headers={
                "Host": url.netloc,
                "Content-Type": mime,
                "If-None-Match": "*",
                "x-amz-content-sha256": digest,
                "x-amz-date": to_amz_date(now),
            },
            credentials=self._credentials,
            content_sha256=digest,
            date=now,
        )
        headers = {name: str(value) for name, value in signed.items()}
        response = self._pool.request("PUT", url.geturl(), body=data, headers=headers)
        if response.status not in _STORED:
            raise Unavailable(f"the S3 server refused to store: status {response.status}")

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
        try:
            # A store may send a byte now and then and never end: the connection's own limits do not see that.
            async with asyncio.timeout(self._timeout_s * 12):
                return await self._threads.run(call, *args, **kwargs)
        except S3Error as error:
            if error.code in _GONE:
                raise NotFound("no such object") from error
            raise Unavailable(f"the S3 server refused: {error.code}") from error
        except (HTTPError, ServerError, InvalidResponseError, MinioException, TimeoutError) as error:
            raise Unavailable("the S3 server does not answer") from error


def as_binary(stream: object) -> BinaryIO:
    """A reader with `read(size)` alone, as the type that uploads ask for."""
    return cast(BinaryIO, stream)

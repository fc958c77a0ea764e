"""Uploads whose bytes the store verifies: every PUT carries the SHA-256 of its body.

The signature of a request names the hash of its body too (`x-amz-content-sha256`), but SeaweedFS does not
compare it. `x-amz-checksum-sha256` is compared by MinIO, SeaweedFS and Amazon S3, which then store nothing.
Not `Minio.put_object`: it sends no checksum, and cannot send a condition.
"""

import base64
import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import quote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from tagify.errors import Unavailable
from tagify.storage._compat import Credentials, sign_v4_s3, to_amz_date, utcnow

PART_SIZE = 16 << 20
"""Size of a part of a multipart upload, in bytes; an upload holds one part in memory."""

_MAX_PARTS = 10_000
"""Upper bound of S3."""

_DAMAGED = (b"BadDigest", b"XAmzContentSHA256Mismatch", b"XAmzContentChecksumMismatch")
"""Codes by which stores refuse a body that does not have its checksum."""

_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_CODE = re.compile(rb"<Code>([^<]{1,100})</Code>")


class Uploader:
    """Signs and sends the requests of uploads. Blocking: call it in a thread.

    Methods raise Unavailable if the store refuses a request, and HTTPError if it does not answer.
    """

    def __init__(
        self, endpoint: str, region: str, credentials: Credentials, pool: urllib3.PoolManager
    ) -> None:
        self._endpoint = endpoint
        self._region = region
        self._credentials = credentials
        self._pool = pool

    def put(self, path: str, data: bytes, digest: str, mime: str) -> None:
        """Store the bytes in one request, unless the object exists. `digest`: their SHA-256, in hex."""
        headers = {"Content-Type": mime, "If-None-Match": "*"}
        response = self._send_body(path, data, digest, headers)
        if response.status != HTTPStatus.PRECONDITION_FAILED:
            _check(response)

    def put_parts(self, path: str, stream: BinaryIO, length: int, mime: str) -> None:
        """Store `length` bytes of the stream in parts. Raises its errors; then nothing is stored."""
        size = max(PART_SIZE, -(-length // _MAX_PARTS))
        created = self._send(
            "POST",
            f"{path}?uploads=",
            headers={"Content-Type": mime, "x-amz-checksum-algorithm": "SHA256"},
        )
        found = _UPLOAD_ID.search(created.data)
        if found is None:
            raise Unavailable("the S3 server started no multipart upload")
        upload = f"uploadId={quote(html.unescape(found[1].decode()), safe='')}"
        try:
            parts = [
                self._put_part(f"{path}?partNumber={number}&{upload}", number, part)
                for number, part in enumerate(_parts_of(stream, length, size), start=1)
            ]
            self._complete(f"{path}?{upload}", parts)
        except BaseException:
            self._abort(f"{path}?{upload}")
            raise

    def _put_part(self, path: str, number: int, data: bytes) -> str:
        """Store a part; its element in the request that completes the upload."""
        digest = hashlib.sha256(data).hexdigest()
        response = self._send_body(path, data, digest, {})
        _check(response)
        return (
            f"<Part><PartNumber>{number}</PartNumber><ETag>{html.escape(response.headers['ETag'])}</ETag>"
            f"<ChecksumSHA256>{_checksum(digest)}</ChecksumSHA256></Part>"
        )

    def _complete(self, path: str, parts: list[str]) -> None:
        """Join the parts. The store may report an error in a response of status 200."""
        body = f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>".encode()
        response = self._send("POST", path, body, headers={"Content-Type": "application/xml"})
        if b"<CompleteMultipartUploadResult" not in response.data:
            raise Unavailable(f"the S3 server did not complete the upload: {_code_of(response)}")

    def _abort(self, path: str) -> None:
        """Delete the parts. Those of a store that does not answer are left to its own clean-up."""
        try:
            self._send("DELETE", path, retries=False)
        except (HTTPError, Unavailable):
            return

    def _send_body(
        self, path: str, data: bytes, digest: str, headers: Mapping[str, str]
    ) -> urllib3.BaseHTTPResponse:
        checksum = {"x-amz-checksum-sha256": _checksum(digest)}
        return self._request("PUT", path, data, digest, {**headers, **checksum})

    def _send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        retries: bool | None = None,
    ) -> urllib3.BaseHTTPResponse:
        digest = hashlib.sha256(body).hexdigest()
        response = self._request(method, path, body, digest, headers or {}, retries=retries)
        _check(response)
        return response

    def _request(
        self,
        method: str,
        path: str,
        body: bytes,
        digest: str,
        headers: Mapping[str, str],
        *,
        retries: bool | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Sign and send a request; `digest` is the SHA-256 of its body, in hex."""
        url, now = urlsplit(self._endpoint + path), utcnow()
        own = {"Host": url.netloc, "x-amz-content-sha256": digest, "x-amz-date": to_amz_date(now)}
        signed = sign_v4_s3(
            method=method,
            url=url,
            region=self._region,
            headers={**headers, **own},
            credentials=self._credentials,
            content_sha256=digest,
            date=now,
        )
        return self._pool.request(
            method,
            self._endpoint + path,
            body=body,
            headers={name: str(value) for name, value in signed.items()},
            retries=retries,
        )


def _parts_of(stream: BinaryIO, length: int, size: int) -> Iterator[bytes]:
    """The bytes of the stream in parts of this size. Raises EOFError if there are fewer than `length`."""
    for offset in range(0, length, size):
        wanted = min(size, length - offset)
        chunks: list[bytes] = []
        while wanted and (chunk := stream.read(wanted)):
            chunks.append(chunk)
            wanted -= len(chunk)
        if wanted:
            raise EOFError(f"the stream of an upload ended {wanted} bytes early")
        yield b"".join(chunks)


def _check(response: urllib3.BaseHTTPResponse) -> None:
    """Raise Unavailable unless the request succeeded."""
    if any(code in response.data for code in _DAMAGED):
        raise Unavailable(
            f"the S3 server received other bytes than were sent ({_code_of(response)}): check the network "
            "and the memory of both hosts"
        )
    if response.status >= HTTPStatus.MULTIPLE_CHOICES:
        raise Unavailable(
            f"the S3 server refused the upload with status {response.status} {_code_of(response)}".rstrip()
        )


def _code_of(response: urllib3.BaseHTTPResponse) -> str:
    code = _CODE.search(response.data)
    return code[1].decode(errors="replace") if code else ""


def _checksum(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()

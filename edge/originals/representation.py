"""Decides how a request for an original is answered: preconditions, byte ranges, headers. Pure, no I/O.

The path of a byte range: `edge/http/ranges.py` parses the Range header, `Representation.plan` decides
whether it applies, `edge/originals/streaming.py` sends the ranges of the plan.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus

from aiohttp import hdrs
from multidict import MultiMapping

from edge.http.conditional import needs_last_modified, not_modified, precondition_failed, range_applies
from edge.http.headers import media_headers, safe_content_type
from edge.http.multipart_byteranges import BodyPart, MultipartByteranges
from edge.http.ranges import ByteRange, UnsatisfiableRange, parse_range
from tagify.model import Content, OriginalInfo
from tagify.web.field_lines import joined_lines

Headers = MultiMapping[str]

SETTLED = timedelta(seconds=1)
"""Last-Modified has a resolution of one second: until that second is over, two contents may share it."""


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """A response that is decided and not sent yet: status, headers, and the parts of the original to send.

    `parts` is empty where no body follows: HEAD, an empty original, and any status but 200 and 206.
    """

    status: HTTPStatus
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[BodyPart] = ()
    closing_delimiter: bytes = b""


@dataclass(frozen=True, slots=True)
class Representation:
    """An original as one URL serves it (RFC 9110, section 3.2)."""

    content: Content
    original: OriginalInfo
    cache_control: str
    modified: datetime | None = None
    """When the resource changed; None where the object store's own date is right."""
    extra_headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """Strong entity tag: the hash of the bytes, and of the headers that differ between URLs of them.

        After a 304 caches keep the stored headers: a file name, or a type that was unknown.
        """
        if not self.extra_headers:
            return content_etag(self.content)
        lines = (self.original.mime, *(f"{name}: {value}" for name, value in self.extra_headers.items()))
        digest = hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
        return f'"{self.content}-{digest}"'

    @property
    def dated_by_store(self) -> bool:
        """Whether Last-Modified is the object store's."""
        return self.modified is None

    def needs_store_date(self, method: str, headers: Headers) -> bool:
        """Whether `plan` needs the object store's date: for a condition by date, and for HEAD.

        HEAD reads no body, so this is also how it learns that the object is missing.
        """
        return method == hdrs.METH_HEAD or (self.modified is None and needs_last_modified(headers))

    def plan(self, method: str, headers: Headers, store_date: datetime | None, now: datetime) -> ResponsePlan:
        """The response to this request; 304, 412 and 416 are in it by their status.

        `store_date` is None where `needs_store_date` is false: then the sender adds Last-Modified.
        """
        modified = self.modified or store_date
        if precondition_failed(headers, self.etag, modified):
            return ResponsePlan(HTTPStatus.PRECONDITION_FAILED)
        if not_modified(headers, self.etag, modified):
            return ResponsePlan(HTTPStatus.NOT_MODIFIED, self._headers(modified, now))
        try:
            ranges = self._requested_ranges(method, headers, modified)
        except UnsatisfiableRange:
            content_range = f"bytes */{self.original.length}"
            return ResponsePlan(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, {hdrs.CONTENT_RANGE: content_range}
            )
        return self._body_plan(method, ranges, self._headers(modified, now))

    def _headers(self, modified: datetime | None, now: datetime) -> dict[str, str]:
        """Headers of a 200, 206 and 304."""
        if self.modified is not None and now - self.modified <= SETTLED:
            modified = None
        common = media_headers(self.etag, self.cache_control, modified)
        return {**common, **self.extra_headers, hdrs.ACCEPT_RANGES: "bytes"}

    def _requested_ranges(
        self, method: str, headers: Headers, modified: datetime | None
    ) -> tuple[ByteRange, ...]:
        """The ranges to send; empty for the whole original. Range is defined for GET alone."""
        if method != hdrs.METH_GET or not range_applies(headers, self.etag, modified):
            return ()
        return parse_range(joined_lines(headers, hdrs.RANGE), self.original.length)

    def _body_plan(self, method: str, ranges: tuple[ByteRange, ...], headers: dict[str, str]) -> ResponsePlan:
        total, mime = self.original.length, safe_content_type(self.original.mime)
        status = HTTPStatus.PARTIAL_CONTENT if ranges else HTTPStatus.OK
        if len(ranges) > 1:
            multipart = MultipartByteranges(ranges, total, mime)
            headers |= _entity_headers(multipart.content_type, multipart.content_length)
            return ResponsePlan(status, headers, multipart.parts, multipart.closing_delimiter)
        if ranges:
            headers |= _entity_headers(mime, ranges[0].length)
            headers[hdrs.CONTENT_RANGE] = ranges[0].content_range(total)
            return ResponsePlan(status, headers, (BodyPart(ranges[0]),))
        headers |= _entity_headers(mime, total)
        if method == hdrs.METH_HEAD or not total:
            return ResponsePlan(status, headers)
        return ResponsePlan(status, headers, (BodyPart(ByteRange(0, total - 1)),))


def content_etag(content: Content) -> str:
    """The strong entity tag of an original under a URL that contains its hash."""
    return f'"{content}"'


def client_has_content(headers: Headers, content: Content) -> bool:
    """Whether the conditions alone make the response a 304: If-None-Match has this content's ETag.

    `*` does not: it matches whatever exists, so the original has to be looked up.
    """
    if headers.get(hdrs.IF_NONE_MATCH, "*").strip() == "*" or needs_last_modified(headers):
        return False
    etag = content_etag(content)
    return not precondition_failed(headers, etag, None) and not_modified(headers, etag, None)


def _entity_headers(content_type: str, content_length: int) -> dict[str, str]:
    return {hdrs.CONTENT_TYPE: content_type, hdrs.CONTENT_LENGTH: str(content_length)}

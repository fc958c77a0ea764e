"""Originals by content, and files by the id of their image: whole or in parts."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from aiohttp import hdrs, web

from edge.app_keys import BYTES_OUT, METADATA_CACHE, PRESIGNED_REDIRECT, UPSTREAM
from edge.handlers.path_params import cache_control, content_param, ready_content, requested_image
from edge.http.byteranges import MultipartByteranges
from edge.http.conditional import needs_last_modified, not_modified, precondition_failed, range_applies
from edge.http.headers import IMMUTABLE, content_disposition, media_headers, safe_content_type
from edge.http.ranges import ByteRange, UnsatisfiableRange, parse_range
from edge.http.server_timing import SERVER_TIMING, ServerTiming
from edge.originals.presigned_redirect import REDIRECT_MAX_AGE_S, PresignedRedirect
from edge.originals.streaming import BodyPart, ResponseAborted, StreamingResponse
from tagify.errors import PreconditionFailed, RangeNotSatisfiable
from tagify.model import Content, OriginalInfo
from tagify.web import problem_response
from tagify.web._compat_aiohttp import DeferredHeadResponse

routes = web.RouteTableDef()

SETTLED = timedelta(seconds=1)
"""A date of whole seconds names one content alone once its second is over."""


@dataclass(frozen=True, slots=True)
class Shown:
    """An original as a URL shows it. `modified` is None where the store's own time is right."""

    content: Content
    original: OriginalInfo
    caching: str
    modified: datetime | None = None
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def etag(self) -> str:
        """The bytes name themselves."""
        return f'"{self.content}"'

    def headers(self, modified: datetime | None) -> dict[str, str]:
        """What goes with any answer about it."""
        return media_headers(self.etag, self.caching, modified) | self.extra | {hdrs.ACCEPT_RANGES: "bytes"}


@routes.get("/media/{content}/original")
async def original(request: web.Request) -> web.StreamResponse:
    content, watch = content_param(request), ServerTiming()
    if _holds(request, content):
        # Bytes under their own name never change: nobody has to be asked.
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=media_headers(f'"{content}"', IMMUTABLE))
    known = await request.app[METADATA_CACHE].get_original(content)
    watch.record("catalog")
    return await _answer(request, Shown(content, known, IMMUTABLE), watch)


@routes.get("/api/images/{id}/file")
async def file(request: web.Request) -> web.StreamResponse:
    watch = ServerTiming()
    image = await requested_image(request)
    watch.record("catalog")
    content = ready_content(image)
    shown = Shown(
        content,
        OriginalInfo(image.file.size, image.mime),
        cache_control(request, content),
        # By id the time is the catalog's: the store may have had the new bytes before the old ones.
        image.updated_at,
        {
            hdrs.CONTENT_DISPOSITION: content_disposition(
                image.file.path.rpartition("/")[2], download=request.query.get("download") == "1"
            )
        },
    )
    return await _answer(request, shown, watch)


def _holds(request: web.Request, content: Content) -> bool:
    """Whether the client names the content in If-None-Match."""
    named = request.headers.get(hdrs.IF_NONE_MATCH, "*").strip() != "*"
    etag = f'"{content}"'
    return (
        named
        and not precondition_failed(request.headers, etag, None)
        and not needs_last_modified(request.headers)
        and not_modified(request.headers, etag, None)
    )


async def _answer(request: web.Request, shown: Shown, watch: ServerTiming) -> web.StreamResponse:
    if request.app[PRESIGNED_REDIRECT].enabled and request.method == hdrs.METH_GET:
        return _elsewhere(request.app[PRESIGNED_REDIRECT], shown)
    modified = shown.modified
    if request.method == hdrs.METH_HEAD or (modified is None and needs_last_modified(request.headers)):
        facts = await request.app[UPSTREAM].head(shown.content)
        watch.record("s3")
        modified = modified or facts.modified
    headers = shown.headers(modified if shown.modified is None or _settled(shown.modified) else None)
    if precondition_failed(request.headers, shown.etag, modified):
        raise PreconditionFailed("the original is not the one that is asked for")
    if not_modified(request.headers, shown.etag, modified):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    try:
        parts = _parts(request, shown, modified)
    except UnsatisfiableRange:
        return _unsatisfiable(shown.original.length)
    return await _deliver(request, shown, parts, headers, watch)


def _elsewhere(redirects: PresignedRedirect, shown: Shown) -> web.Response:
    named = shown.extra.get(hdrs.CONTENT_DISPOSITION, "")
    headers = {
        hdrs.LOCATION: redirects.url(shown.content, shown.original, named),
        hdrs.CACHE_CONTROL: f"private, max-age={REDIRECT_MAX_AGE_S}"
        if shown.caching == IMMUTABLE
        else "no-store",
    }
    return web.Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)


def _settled(modified: datetime) -> bool:
    return datetime.now(UTC) - modified > SETTLED


def _parts(request: web.Request, shown: Shown, modified: datetime | None) -> tuple[ByteRange, ...]:
    """The parts that are asked for, none for the whole: a Range has a meaning for GET alone."""
    if request.method != hdrs.METH_GET or not range_applies(request.headers, shown.etag, modified):
        return ()
    return parse_range(", ".join(request.headers.getall(hdrs.RANGE, ())), shown.original.length)


def _unsatisfiable(length: int) -> web.Response:
    response = problem_response(RangeNotSatisfiable(f"the original has {length} bytes"))
    response.headers[hdrs.CONTENT_RANGE] = f"bytes */{length}"
    return response


async def _deliver(
    request: web.Request,
    shown: Shown,
    parts: tuple[ByteRange, ...],
    headers: dict[str, str],
    watch: ServerTiming,
) -> web.StreamResponse:
    length, mime = shown.original.length, safe_content_type(shown.original.mime)
    response = DeferredHeadResponse(
        status=HTTPStatus.PARTIAL_CONTENT if parts else HTTPStatus.OK, headers=headers
    )
    response.headers[hdrs.CONTENT_TYPE] = mime
    if request.method == hdrs.METH_HEAD or not length:
        response.content_length = length
        response.headers[SERVER_TIMING] = watch.header_value
        await response.prepare(request)
        return response
    delivery = StreamingResponse(
        request,
        response,
        request.app[UPSTREAM],
        shown.content,
        length,
        store_dates=shown.modified is None,
        timing=watch,
        bytes_out=request.app[BYTES_OUT],
    )
    with suppress(ResponseAborted):
        if len(parts) > 1:
            multipart = MultipartByteranges(parts, length, mime)
            await delivery.send(_several(response, multipart, parts), multipart.closing_delimiter)
        else:
            await delivery.send([_one(response, length, *parts)])
    return response


def _one(response: web.StreamResponse, length: int, part: ByteRange | None = None) -> BodyPart:
    """The part, or the whole; the answer says which."""
    if part:
        response.headers[hdrs.CONTENT_RANGE] = part.content_range(length)
    part = part or ByteRange(0, length - 1)
    response.content_length = part.length
    return part, b""


def _several(
    response: web.StreamResponse, multipart: MultipartByteranges, parts: tuple[ByteRange, ...]
) -> Iterable[BodyPart]:
    response.headers[hdrs.CONTENT_TYPE] = multipart.content_type
    response.content_length = multipart.content_length
    return zip(parts, multipart.part_heads, strict=True)

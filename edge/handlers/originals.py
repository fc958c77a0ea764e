"""Routes of originals: by content, and by the id of an image. The response is decided by Representation."""

from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

from aiohttp import hdrs, web

from edge.app_keys import BYTES_OUT, METADATA_CACHE, PRESIGNED_REDIRECT, UPSTREAM
from edge.handlers.path_params import content_param, original_content, requested_image
from edge.http.headers import IMMUTABLE, REVALIDATE, content_disposition, media_headers
from edge.http.server_timing import SERVER_TIMING, ServerTiming
from edge.originals.presigned_redirect import redirect_cache_control
from edge.originals.representation import Representation, ResponsePlan, client_has_content, content_etag
from edge.originals.streaming import ResponseAborted, StreamingResponse
from tagify.errors import PreconditionFailed, RangeNotSatisfiable
from tagify.model import ImageState, OriginalInfo
from tagify.web import problem_response
from tagify.web._compat_aiohttp import DeferredHeadResponse

routes = web.RouteTableDef()


@routes.get("/media/{content}/original")
async def original(request: web.Request) -> web.StreamResponse:
    content, timing = content_param(request), ServerTiming()
    if client_has_content(request.headers, content):
        # The bytes of a content never change: a 304 needs neither catalog nor object store.
        headers = media_headers(content_etag(content), IMMUTABLE)
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    info = await request.app[METADATA_CACHE].get_original(content)
    timing.record("catalog")
    return await _respond(request, Representation(content, info, IMMUTABLE), timing)


@routes.get("/api/images/{id}/file")
async def file(request: web.Request) -> web.StreamResponse:
    timing = ServerTiming()
    image = await requested_image(request)
    timing.record("catalog")
    content = original_content(image)
    # A file that no decoder takes may be anything: it is never shown.
    download = image.state is ImageState.FAILED or request.query.get("download") == "1"
    disposition = content_disposition(image.file.path.rpartition("/")[2], download=download)
    representation = Representation(
        content,
        OriginalInfo(image.file.size, image.mime),
        # Also with the content in the query: the file's name may change.
        REVALIDATE,
        # By id the catalog's date counts: the store may have had the new bytes before the old ones.
        modified=image.updated_at,
        extra_headers={hdrs.CONTENT_DISPOSITION: disposition},
    )
    return await _respond(request, representation, timing)


async def _respond(
    request: web.Request, representation: Representation, timing: ServerTiming
) -> web.StreamResponse:
    if request.app[PRESIGNED_REDIRECT].enabled and request.method == hdrs.METH_GET:
        return _redirect(request, representation)
    store_date = None
    if representation.needs_store_date(request.method, request.headers):
        store_date = (await request.app[UPSTREAM].head(representation.content)).modified
        timing.record("s3")
    plan = representation.plan(request.method, request.headers, store_date, datetime.now(UTC))
    match plan.status:
        case HTTPStatus.PRECONDITION_FAILED:
            raise PreconditionFailed("If-Match or If-Unmodified-Since does not match the original")
        case HTTPStatus.NOT_MODIFIED:
            return web.Response(status=plan.status, headers=plan.headers)
        case HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            length = representation.original.length
            response = problem_response(RangeNotSatisfiable(f"the original has {length} bytes"))
            response.headers.update(plan.headers)
            return response
    return await _send(request, representation, plan, timing)


def _redirect(request: web.Request, representation: Representation) -> web.Response:
    location = request.app[PRESIGNED_REDIRECT].url(
        representation.content,
        representation.original,
        representation.extra_headers.get(hdrs.CONTENT_DISPOSITION, ""),
    )
    headers = {
        hdrs.LOCATION: location,
        hdrs.CACHE_CONTROL: redirect_cache_control(representation.cache_control),
    }
    return web.Response(status=HTTPStatus.TEMPORARY_REDIRECT, headers=headers)


async def _send(
    request: web.Request, representation: Representation, plan: ResponsePlan, timing: ServerTiming
) -> web.StreamResponse:
    response = DeferredHeadResponse(status=plan.status, headers=plan.headers)
    if not plan.parts:
        response.headers[SERVER_TIMING] = timing.header_value
        await response.prepare(request)
        return response
    streaming = StreamingResponse(
        request,
        response,
        request.app[UPSTREAM],
        representation.content,
        representation.original.length,
        dated_by_store=representation.dated_by_store,
        timing=timing,
        bytes_out=request.app[BYTES_OUT],
    )
    with suppress(ResponseAborted):
        await streaming.send(plan.parts, plan.closing_delimiter)
    return response

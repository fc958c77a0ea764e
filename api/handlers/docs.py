"""The OpenAPI document and the API reference page."""

from aiohttp import web

from api import static_pages
from api.app_keys import OPENAPI_DOCUMENT, REFERENCE_FILES

routes = web.RouteTableDef()


@routes.get("/api/openapi.json")
async def openapi_document(request: web.Request) -> web.Response:
    return request.app[OPENAPI_DOCUMENT].to_response(request)


@routes.get("/api/docs")
async def reference_page(request: web.Request) -> web.Response:
    return static_pages.file_response(request, request.app[REFERENCE_FILES], static_pages.INDEX)


@routes.get("/api/docs/{name}")
async def reference_file(request: web.Request) -> web.Response:
    return static_pages.file_response(request, request.app[REFERENCE_FILES], request.match_info["name"])

"""The gallery page and its files, and the health endpoint of the legacy front end."""

from aiohttp import web

from api import static_pages
from api.app_keys import GALLERY_FILES
from tagify.web import json_response

routes = web.RouteTableDef()


@routes.get("/")
async def gallery_page(request: web.Request) -> web.Response:
    return static_pages.file_response(request, request.app[GALLERY_FILES], static_pages.INDEX)


@routes.get("/gallery/{name}")
async def gallery_file(request: web.Request) -> web.Response:
    return static_pages.file_response(request, request.app[GALLERY_FILES], request.match_info["name"])


@routes.get("/api/health")
async def health(_: web.Request) -> web.Response:
    return json_response({"status": "ok"})

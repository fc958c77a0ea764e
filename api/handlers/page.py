"""The gallery page and its files, and the health endpoint of the legacy front end."""

from aiohttp import web

from api import static_pages
from api.app_keys import GALLERY_FILES, PRESIGNED_URLS, SETTINGS
from tagify.web import json_response

routes = web.RouteTableDef()


@routes.get("/")
async def gallery_page(request: web.Request) -> web.Response:
    return _file_response(request, static_pages.INDEX)


@routes.get("/gallery/{name}")
async def gallery_file(request: web.Request) -> web.Response:
    return _file_response(request, request.match_info["name"])


@routes.get("/api/health")
async def health(_: web.Request) -> web.Response:
    return json_response({"status": "ok"})


def _content_security_policy(app: web.Application) -> str:
    settings = app[SETTINGS]
    store = app[PRESIGNED_URLS].origin if settings.media_mode == "presigned" else ""
    return static_pages.content_security_policy(settings.media_base_url, store)


def _file_response(request: web.Request, name: str) -> web.Response:
    return static_pages.file_response(
        request, request.app[GALLERY_FILES], name, _content_security_policy(request.app)
    )

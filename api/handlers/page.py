"""The gallery page and its files, and the health page of the present front end."""

from aiohttp import web

from api import static_pages
from api.app_keys import PAGES, SETTINGS, STORE_URLS
from tagify.web import json_response

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    return _answer(request, static_pages.INDEX)


@routes.get("/gallery/{name}")
async def page_file(request: web.Request) -> web.Response:
    return _answer(request, request.match_info["name"])


@routes.get("/api/health")
async def health(_: web.Request) -> web.Response:
    return json_response({"status": "ok"})


def _policy(app: web.Application) -> str:
    settings = app[SETTINGS]
    store = app[STORE_URLS].origin if settings.media_mode == "presigned" else ""
    return static_pages.policy(settings.media_base_url, store)


def _answer(request: web.Request, name: str) -> web.Response:
    return static_pages.answer(request, request.app[PAGES], name, _policy(request.app))

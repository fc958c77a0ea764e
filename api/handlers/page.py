"""The gallery page and its files, and the health page of the present front end."""

from aiohttp import hdrs, web

from api import pages
from api.keys import PAGES, SETTINGS, STORE_URLS
from tagify.errors import NotFound
from tagify.web import is_known, json_response

routes = web.RouteTableDef()


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    return _answer(request, pages.INDEX)


@routes.get("/gallery/{name}")
async def page_file(request: web.Request) -> web.Response:
    return _answer(request, request.match_info["name"])


@routes.get("/api/health")
async def health(_: web.Request) -> web.Response:
    return json_response({"status": "ok"})


def _policy(app: web.Application) -> str:
    settings = app[SETTINGS]
    store = app[STORE_URLS].origin if settings.media_mode == "presigned" else ""
    return pages.policy(settings.media_base_url, store)


def _answer(request: web.Request, name: str) -> web.Response:
    file = request.app[PAGES].get(name)
    if file is None:
        raise NotFound(f"the page has no file {name}")
    headers = {
        hdrs.ETAG: f'"{file.etag}"',
        hdrs.CACHE_CONTROL: "no-cache",
        "Content-Security-Policy": _policy(request.app),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if is_known(request, file.etag):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.mime, charset="utf-8", headers=headers)

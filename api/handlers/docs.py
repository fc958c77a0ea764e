"""What the API is, for programs and for people."""

from aiohttp import web

from api import static_pages
from api.app_keys import DOCS, OPENAPI

routes = web.RouteTableDef()


@routes.get("/api/openapi.json")
async def openapi(request: web.Request) -> web.Response:
    return request.app[OPENAPI].to_response(request)


@routes.get("/api/docs")
async def index(request: web.Request) -> web.Response:
    return static_pages.answer(request, request.app[DOCS], static_pages.INDEX, static_pages.policy())


@routes.get("/api/docs/{name}")
async def page_file(request: web.Request) -> web.Response:
    return static_pages.answer(request, request.app[DOCS], request.match_info["name"], static_pages.policy())

"""Libraries: list, add, rename, remove, scan again, approve of what ingest found."""

from pathlib import PurePosixPath

from aiohttp import web

from api.app_keys import CATALOG, DISK, ITEMS, SETTINGS
from api.library_roots import admit
from tagify.errors import BadRequest, NotFound
from tagify.model import Library, LibraryId, is_id
from tagify.web import JsonBody, json_response, read_json

MAX_NAME = 100
"""Characters in a library's name, at most."""

routes = web.RouteTableDef()


@routes.get("/api/libraries")
async def list_libraries(request: web.Request) -> web.Response:
    items = request.app[ITEMS]
    found = await request.app[CATALOG].libraries.list_all()
    return JsonBody([items.library(library) for library in found]).to_response(request)


@routes.post("/api/libraries")
async def add_library(request: web.Request) -> web.Response:
    body = await _body(request)
    path = body.get("path")
    if not isinstance(path, str):
        raise BadRequest("path must be the absolute path of a folder on the server")
    folder = await request.app[DISK].run(admit, path, request.app[SETTINGS].library_roots)
    name = _name(body) if "name" in body else PurePosixPath(folder).name
    library = await request.app[CATALOG].libraries.create(name, folder)
    return json_response(request.app[ITEMS].library(library), status=201)


@routes.patch("/api/libraries/{id}")
async def rename_library(request: web.Request) -> web.Response:
    name = _name(await _body(request))
    return _told(request, await request.app[CATALOG].libraries.rename(_id(request), name))


@routes.delete("/api/libraries/{id}")
async def remove_library(request: web.Request) -> web.Response:
    return _told(request, await request.app[CATALOG].libraries.begin_removal(_id(request)), status=202)


@routes.post("/api/libraries/{id}/rescan")
async def rescan(request: web.Request) -> web.Response:
    return _told(request, await request.app[CATALOG].libraries.request_rescan(_id(request)), status=202)


@routes.post("/api/libraries/{id}/approve")
async def approve(request: web.Request) -> web.Response:
    return _told(request, await request.app[CATALOG].libraries.approve(_id(request)), status=202)


@routes.get("/api/libraries/{id}/progress")
async def progress(request: web.Request) -> web.Response:
    library = _found(request, await request.app[CATALOG].libraries.get(_id(request)))
    return json_response(request.app[ITEMS].progress(library))


async def _body(request: web.Request) -> dict[str, object]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BadRequest('the body must be an object like {"name": "Photos", "path": "/srv/photos"}')
    return body


def _name(body: dict[str, object]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME:
        raise BadRequest(f"name must be a text of 1 to {MAX_NAME} characters")
    return name.strip()


def _id(request: web.Request) -> LibraryId:
    text = request.match_info["id"]
    if not is_id(text):
        raise NotFound(f"there is no library {text}")
    return LibraryId(text)


def _found(request: web.Request, library: Library | None) -> Library:
    if library is None:
        raise NotFound(f"there is no library {request.match_info['id']}")
    return library


def _told(request: web.Request, library: Library | None, status: int = 200) -> web.Response:
    return json_response(request.app[ITEMS].library(_found(request, library)), status=status)

"""Libraries: list, add, rename, move, remove, rescan, approve deletions."""

from pathlib import PurePosixPath

from aiohttp import web

from api.app_keys import CATALOG, FOLDER_THREADS, SERIALIZER, SETTINGS
from api.library_roots import is_root_of, libraries_of, resolve_library_path
from tagify.errors import BadRequest, LibraryMoved, NotFound
from tagify.model import Library, LibraryId, is_id
from tagify.printable import has_control_characters, printable_line
from tagify.web import JsonBody, json_response, read_body, read_json

MAX_NAME_LENGTH = 100
"""Maximum length of a library's name, in characters."""

routes = web.RouteTableDef()


@routes.get("/api/libraries")
async def list_libraries(request: web.Request) -> web.Response:
    serializer = request.app[SERIALIZER]
    libraries = await request.app[CATALOG].libraries.list_all()
    return JsonBody([serializer.library(library) for library in libraries]).to_response(request)


@routes.post("/api/libraries")
async def add_library(request: web.Request) -> web.Response:
    body = await _read_object(request)
    folder = await _folder(request, body)
    name = _parse_name(body) if "name" in body else printable_line(PurePosixPath(folder).name)
    if body.get("new") is not True:
        await _refuse_moved_library(request, folder)
    library = await request.app[CATALOG].libraries.create(name, folder)
    return json_response(request.app[SERIALIZER].library(library), status=201)


@routes.patch("/api/libraries/{id}")
async def change_library(request: web.Request) -> web.Response:
    library_id = _library_id(request)
    libraries = request.app[CATALOG].libraries
    body = await _read_object(request)
    name = _parse_name(body) if "name" in body or "path" not in body else None
    library = None
    if "path" in body:
        library = _require_library(request, await libraries.move(library_id, await _folder(request, body)))
    if name is not None:
        library = await libraries.rename(library_id, name)
    return _library_response(request, library)


@routes.delete("/api/libraries/{id}")
async def remove_library(request: web.Request) -> web.Response:
    return _library_response(
        request, await request.app[CATALOG].libraries.begin_removal(_library_id(request)), status=202
    )


@routes.post("/api/libraries/{id}/rescan")
async def request_rescan(request: web.Request) -> web.Response:
    return _library_response(
        request, await request.app[CATALOG].libraries.request_rescan(_library_id(request)), status=202
    )


@routes.post("/api/libraries/{id}/approve")
async def approve_pending(request: web.Request) -> web.Response:
    library_id = _library_id(request)
    pending_id = await _read_pending_id(request)
    return _library_response(
        request, await request.app[CATALOG].libraries.approve(library_id, pending_id), status=202
    )


@routes.get("/api/libraries/{id}/progress")
async def scan_progress(request: web.Request) -> web.Response:
    library = _require_library(request, await request.app[CATALOG].libraries.get(_library_id(request)))
    return json_response(request.app[SERIALIZER].library_progress(library))


async def _folder(request: web.Request, body: dict[str, object]) -> str:
    """The real path of the folder that `path` of the body names. Raises BadRequest."""
    path = body.get("path")
    if not isinstance(path, str):
        raise BadRequest("`path` must be the absolute path of a folder on the server")
    roots = request.app[SETTINGS].library_roots
    return await request.app[FOLDER_THREADS].run(path, resolve_library_path, path, roots)


async def _refuse_moved_library(request: web.Request, folder: str) -> None:
    """Raises LibraryMoved where the folder is the root of a library that was at another path."""
    libraries = await request.app[CATALOG].libraries.list_all()
    threads = request.app[FOLDER_THREADS]
    for library in await threads.run(folder, libraries_of, folder, libraries):
        if await threads.run(library.path, is_root_of, library.path, library):
            continue
        raise LibraryMoved(
            f"{folder} is the folder of the library {library.name}, which was at {library.path}; move that "
            f"library, which keeps its images and tags: PATCH /api/libraries/{library.id} with the new path, "
            'or `tagify libraries move`; to add the folder as another library, send "new": true',
            library={"_id": library.id, "name": library.name, "path": library.path},
        )


async def _read_object(request: web.Request) -> dict[str, object]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BadRequest('the body must be an object like {"name": "Photos", "path": "/srv/photos"}')
    return body


async def _read_pending_id(request: web.Request) -> str | None:
    """The `pending_approval` of the body: what the client has seen; None without a body."""
    if not await read_body(request):
        return None
    body = await read_json(request)
    pending_id = body.get("pending_approval") if isinstance(body, dict) else body
    if pending_id is not None and not isinstance(pending_id, str):
        raise BadRequest('the body must be like {"pending_approval": "0123456789abcdef"}, or absent')
    return pending_id


def _parse_name(body: dict[str, object]) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip() or len(name) > MAX_NAME_LENGTH:
        raise BadRequest(f"`name` must be a string of 1 to {MAX_NAME_LENGTH} characters")
    if has_control_characters(name.strip()):
        raise BadRequest("`name` must not have control characters")
    return name.strip()


def _library_id(request: web.Request) -> LibraryId:
    text = request.match_info["id"]
    if not is_id(text):
        raise NotFound(f"there is no library {text}")
    return LibraryId(text)


def _require_library(request: web.Request, library: Library | None) -> Library:
    if library is None:
        raise NotFound(f"there is no library {request.match_info['id']}")
    return library


def _library_response(request: web.Request, library: Library | None, status: int = 200) -> web.Response:
    return json_response(request.app[SERIALIZER].library(_require_library(request, library)), status=status)

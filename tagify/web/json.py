"""JSON requests and responses, and integers of the query string."""

import asyncio
import re

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import LooseHeaders

from tagify.errors import BadRequest, RequestTimeout, UnsupportedMediaType

BODY_TIMEOUT_S = 30.0
"""Timeout for reading a request body, in seconds."""


_JSON_TYPE = re.compile(r"application/([\w.-]+\+)?json[ \t]*(;.*)?", re.ASCII | re.IGNORECASE)


def json_response(
    data: object,
    *,
    status: int = 200,
    headers: LooseHeaders | None = None,
    content_type: str = "application/json",
) -> web.Response:
    """A JSON response."""
    return web.Response(body=orjson.dumps(data), status=status, headers=headers, content_type=content_type)


async def read_body(request: web.Request) -> bytes:
    """The body. Raises RequestTimeout, TooLarge."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError as error:
        raise RequestTimeout(f"the request body did not arrive within {BODY_TIMEOUT_S:g} s") from error


async def read_json(request: web.Request) -> object:
    """The parsed JSON body.

    Raises UnsupportedMediaType, BadRequest for invalid JSON, RequestTimeout, TooLarge. The media type is
    required: a form of another site can send JSON, but only as text or as form data.
    """
    if request.body_exists and not _JSON_TYPE.fullmatch(request.headers.get(hdrs.CONTENT_TYPE, "")):
        raise UnsupportedMediaType("send the request body with the header `Content-Type: application/json`")
    body = await read_body(request)
    try:
        data: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the request body is not valid JSON: {error}") from error
    return data


def query_int(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """An integer query parameter. Raises BadRequest when it is not an integer from `low` to `high`."""
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
        raise BadRequest(f"`{name}` must be an integer from {low} to {high}")
    return int(text)

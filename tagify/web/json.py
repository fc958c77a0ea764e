"""JSON out and in, and what a query string says."""

import asyncio
import re

import orjson
from aiohttp import web
from aiohttp.typedefs import LooseHeaders

from tagify.errors import BadRequest, RequestTimeout

BODY_S = 30.0
"""Longest wait for the body of a request, in seconds."""


def json_response(
    data: object,
    *,
    status: int = 200,
    headers: LooseHeaders | None = None,
    kind: str = "application/json",
) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=orjson.dumps(data), status=status, headers=headers, content_type=kind)


async def read_json(request: web.Request) -> object:
    """The body as JSON. Raises BadRequest when it is none, RequestTimeout, TooLarge."""
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()
    except TimeoutError as error:
        raise RequestTimeout(f"the body did not come within {BODY_S:g} s") from error
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is no JSON: {error}") from error


def query_int(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query string. Raises BadRequest when it is none or out of its range."""
    text = request.query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?\d{1,18}", text, re.ASCII) or not low <= int(text) <= high:
        raise BadRequest(f"{name} must be a whole number from {low} to {high}")
    return int(text)

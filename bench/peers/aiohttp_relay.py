"""The least an aiohttp server with an aiohttp client can do: pass on one URL.

`python -m bench.peers.aiohttp_relay PORT`.

No catalog, no conditions, no check of what comes. The URL is in the environment, as RELAYED.
"""

import asyncio
import os
import sys

import aiohttp
import uvloop
from aiohttp import hdrs, web
from yarl import URL

from bench.peers.bare_aiohttp import serve

PASSED_ON = (hdrs.CONTENT_LENGTH, hdrs.CONTENT_RANGE, hdrs.CONTENT_TYPE)


class Streamed(web.StreamResponse):
    """An answer whose head leaves with its first bytes, as the edge's does."""

    _send_headers_immediately = False


async def main(port: int, url: URL) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        asked = {name: request.headers[name] for name in (hdrs.RANGE,) if name in request.headers}
        async with session.get(url, headers=asked) as upstream:
            headers = {name: upstream.headers[name] for name in PASSED_ON if name in upstream.headers}
            response = Streamed(status=upstream.status, headers=headers)
            await response.prepare(request)
            while chunk := await upstream.content.readany():
                await response.write(chunk)
            await response.write_eof()
        return response

    async def alive(_: web.Request) -> web.Response:
        return web.Response()

    async with aiohttp.ClientSession(auto_decompress=False, read_bufsize=256 << 10) as session:
        await serve(port, [web.get("/", handler), web.get("/livez", alive)])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main(int(sys.argv[1]), URL(os.environ["RELAYED"], encoded=True)))

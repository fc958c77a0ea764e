"""The minimum for an aiohttp server with an aiohttp client: relay one URL.

`python -m bench.peers.aiohttp_relay PORT` relays the URL in the environment variable RELAYED. No catalog, no
conditional requests, no check of the upstream's response.
"""

import asyncio
import os
import sys

import aiohttp
import uvloop
from aiohttp import hdrs, web
from yarl import URL

from bench.peers.bare_aiohttp import serve
from tagify.web._compat_aiohttp import DeferredHeadResponse

RELAYED_HEADERS = (hdrs.CONTENT_LENGTH, hdrs.CONTENT_RANGE, hdrs.CONTENT_TYPE)


async def main(port: int, url: URL) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        forwarded = {name: request.headers[name] for name in (hdrs.RANGE,) if name in request.headers}
        async with session.get(url, headers=forwarded) as upstream:
            headers = {name: upstream.headers[name] for name in RELAYED_HEADERS if name in upstream.headers}
            response = DeferredHeadResponse(status=upstream.status, headers=headers)
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

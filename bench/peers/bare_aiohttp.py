"""The minimum for an aiohttp server: one handler that returns bytes from a dict.

`python -m bench.peers.bare_aiohttp PORT FOLDER` serves the files of the folder.
"""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

import uvloop
from aiohttp import web


async def serve(port: int, routes: Iterable[web.RouteDef]) -> None:
    """Serve these routes until cancelled."""
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


async def main(port: int, bodies: dict[str, bytes]) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=bodies[request.path], content_type="image/jpeg")

    await serve(port, [web.get("/{name}", handler)])


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(
            main(
                int(sys.argv[1]), {f"/{file.name}": file.read_bytes() for file in Path(sys.argv[2]).iterdir()}
            )
        )

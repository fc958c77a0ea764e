"""Other image servers, if they are installed: thumbor, imagor, ipx with sharp, nginx's image filter.

Installation into a folder PEERS:

python3 -m venv PEERS/thumbor && PEERS/thumbor/bin/pip install thumbor
apt-get install libvips-dev; in an empty folder: go mod init peer, then
go get github.com/cshum/imagor/cmd/imagor@v1.4.15 and
GOBIN=PEERS/bin go install github.com/cshum/imagor/cmd/imagor
(later versions need a newer libvips than Debian 12 has)
mkdir PEERS/ipx && cd PEERS/ipx && npm install ipx sharp
apt-get install nginx libnginx-mod-http-image-filter wrk
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tagify.servers.ports import find_free_port, http_responds
from tests.support.waiting import until

FILTER = Path("/usr/lib/nginx/modules/ngx_http_image_filter_module.so")

THUMBOR = """
RESULT_STORAGE = "thumbor.result_storages.file_storage"
RESULT_STORAGE_STORES_UNSAFE = True
RESULT_STORAGE_FILE_STORAGE_ROOT_PATH = "{folder}/thumbor-results"
STORAGE = "thumbor.storages.no_storage"
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = "{originals}"
ALLOW_UNSAFE_URL = True
QUALITY = 82
"""

NGINX = """
load_module {module};
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log stderr error; user root;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  proxy_cache_path {folder}/nginx-cache keys_zone=v:8m; sendfile on;
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_cache v; proxy_cache_valid 200 1h; proxy_pass http://127.0.0.1:{inner}; }} }}
  server {{ listen 127.0.0.1:{inner}; root {originals};
    location / {{ image_filter resize 512 -; image_filter_jpeg_quality 82; image_filter_buffer 64M; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server. `url` maps a file name to the URL of its variant, a JPEG 512 px wide."""

    name: str
    pid: int
    url: Callable[[str], str]


Start = Callable[[Path, Path, Path], AbstractAsyncContextManager[Peer]]
"""Starts a peer. Parameters: folder of the installed peers, working folder, folder of the originals."""


@asynccontextmanager
async def thumbor(peers: Path, folder: Path, originals: Path) -> AsyncIterator[Peer]:
    """thumbor, one process, with its result storage."""
    config, port = folder / "thumbor.conf", find_free_port()
    config.write_text(THUMBOR.format(folder=folder, originals=originals))
    command = (str(peers / "thumbor/bin/thumbor"), "-p", str(port), "-i", "127.0.0.1", "-c", str(config))
    async with running(*command, "-l", "error", ready=f"http://127.0.0.1:{port}/healthcheck") as pid:
        yield Peer("thumbor", pid, lambda name: f"http://127.0.0.1:{port}/unsafe/512x0/{name}")


@asynccontextmanager
async def imagor(peers: Path, folder: Path, originals: Path) -> AsyncIterator[Peer]:
    """imagor, with its result storage in files."""
    port = find_free_port()
    base = f"http://127.0.0.1:{port}"
    files = ("-file-loader-base-dir", str(originals), "-file-result-storage-base-dir", str(folder / "imagor"))
    command = (str(peers / "bin/imagor"), "-imagor-unsafe", "-server-address", "127.0.0.1", *files)
    async with running(*command, "-port", str(port), ready=f"{base}/unsafe/16x0/000000.jpg") as pid:
        yield Peer("imagor", pid, lambda name: f"{base}/unsafe/512x0/filters:format(jpeg):quality(82)/{name}")


@asynccontextmanager
async def ipx(peers: Path, _: Path, originals: Path) -> AsyncIterator[Peer]:
    """ipx, which has no cache."""
    port = find_free_port()
    command = (str(peers / "ipx/node_modules/.bin/ipx"), "serve", "--dir", str(originals))
    base = f"http://127.0.0.1:{port}"
    options = ("--host", "127.0.0.1", "--port", str(port))
    async with running(*command, *options, ready=f"{base}/w_16/000000.jpg") as pid:
        yield Peer("ipx (sharp)", pid, lambda name: f"{base}/w_512,f_jpeg,q_82/{name}")


@asynccontextmanager
async def nginx(_: Path, folder: Path, originals: Path) -> AsyncIterator[Peer]:
    """nginx with its image filter behind its cache, one worker process."""
    port = find_free_port(consecutive=2)
    config = folder / "nginx.conf"
    config.write_text(
        NGINX.format(module=FILTER, folder=folder, originals=originals, port=port, inner=port + 1)
    )
    base = f"http://127.0.0.1:{port}"
    async with running("nginx", "-c", str(config), ready=f"{base}/000000.jpg") as pid:
        yield Peer("nginx image_filter", pid, lambda name: f"{base}/{name}")


@asynccontextmanager
async def bare(folder: Path) -> AsyncIterator[Peer]:
    """An aiohttp handler that serves the files of a folder from memory."""
    port = find_free_port()
    command = (sys.executable, "-m", "bench.peers.bare_aiohttp", str(port), str(folder))
    async with running(*command, ready=f"http://127.0.0.1:{port}/000000.jpg") as pid:
        yield Peer("bare aiohttp handler", pid, lambda name: f"http://127.0.0.1:{port}/{name}")


@asynccontextmanager
async def relay(url: str) -> AsyncIterator[str]:
    """An aiohttp handler that relays this URL; yields the handler's URL."""
    port = find_free_port()
    base = f"http://127.0.0.1:{port}"
    async with running(
        sys.executable, "-m", "bench.peers.aiohttp_relay", str(port), ready=f"{base}/livez", RELAYED=url
    ):
        yield f"{base}/"


def installed(peers: Path) -> list[Start]:
    """The start functions of the installed peers; prints the names of the others."""
    known: dict[str, tuple[Start, bool]] = {
        "thumbor": (thumbor, (peers / "thumbor/bin/thumbor").exists()),
        "imagor": (imagor, (peers / "bin/imagor").exists()),
        "ipx": (ipx, (peers / "ipx/node_modules/.bin/ipx").exists()),
        "nginx image_filter": (nginx, FILTER.exists() and bool(shutil.which("nginx"))),
    }
    for name, (_, is_installed) in known.items():
        if not is_installed:
            print(f"{name} is not installed; see bench/peers/variant_servers.py")
    return [start for start, is_installed in known.values() if is_installed]


@asynccontextmanager
async def running(*command: str, ready: str, **variables: str) -> AsyncIterator[int]:
    """The pid of a process with these environment variables, once `ready` answers; ended with the block."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, **variables},
    )

    async def answering() -> bool:
        assert process.returncode is None, command
        return await http_responds(ready)

    try:
        await until(answering, timeout_s=60, every_s=0.2)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()

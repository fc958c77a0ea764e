"""NGINX in front of the services, where it is installed: one origin for page, API and media."""

import os
import shutil
import string
from pathlib import Path

from tagify.embedded.ports import answers
from tagify.embedded.process import Program

TEMPLATES = Path(__file__).parent / "nginx"
FILES = ("tagify.conf", "upstreams.conf", "proxy.conf", "cache.conf", "security.conf")


def installed() -> Path | None:
    """The nginx of this machine."""
    found = shutil.which("nginx", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None


def render(folder: Path, *, host: str, port: int, api_port: int, edge_port: int) -> Path:
    """Write the configuration for these ports into a folder; the path of its main file."""
    values = {
        "folder": str(folder),
        # Started by root, nginx would give its workers to a user who may not enter the data folder.
        "user": "user root;" if os.geteuid() == 0 else "",
        "listen": f"{host}:{port}",
        "api": f"127.0.0.1:{api_port}",
        "edge": f"127.0.0.1:{edge_port}",
    }
    for place in ("cache", "temp"):
        (folder / place).mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in FILES:
        text = (TEMPLATES / name).read_text()
        # nginx has variables of its own under $: ours are written @{name}.
        (folder / name).write_text(_At(text).substitute(values))
    return folder / "tagify.conf"


def program(binary: Path, config: Path, port: int, log: Path) -> Program:
    """How to run nginx with this configuration."""

    async def ready() -> bool:
        return await answers(f"http://127.0.0.1:{port}/livez")

    return Program(
        name="nginx",
        argv=(str(binary), "-c", str(config), "-p", str(config.parent), "-e", "stderr"),
        log=log,
        ready=ready,
    )


class _At(string.Template):
    delimiter = "@"

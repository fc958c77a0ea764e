"""`tagify up`."""

import argparse
import os
from pathlib import Path

from tagify.cli.arguments import add_data_dir
from tagify.errors import TagifyError
from tagify.up.command import up
from tagify.up.stack import UpOptions

LAST_PORT = 65_535


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--library", type=Path, help="folder to watch (default: a generated sample)")
    add_data_dir(parser, "data folder")
    parser.add_argument(
        "--host",
        type=_parse_hosts,
        default="127.0.0.1",
        help="addresses of the page, IPv4 or IPv6, comma-separated (%(default)s)",
    )
    parser.add_argument("--port", type=_parse_port, default=8000, help="port of the page (%(default)s)")
    parser.add_argument("--mongo-uri", help="use this MongoDB (a replica set)")
    parser.add_argument(
        "--s3-endpoint",
        help="use this S3 server, with TAGIFY_S3_ACCESS_KEY and TAGIFY_S3_SECRET_KEY",
    )
    parser.add_argument("--no-nginx", action="store_true", help="run without nginx, even if it is installed")
    parser.set_defaults(run=_run)


def _parse_hosts(text: str) -> tuple[str, ...]:
    """Parse `--host`. Raises TagifyError."""
    hosts = tuple(
        host.strip().removeprefix("[").removesuffix("]") for host in text.split(",") if host.strip()
    )
    if not hosts:
        raise TagifyError("--host is empty: name an address, for example 127.0.0.1 or 127.0.0.1,::1")
    return hosts


def _parse_port(text: str) -> int:
    """Parse `--port`. Raises TagifyError."""
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) <= LAST_PORT):
        raise TagifyError(
            f"{text!r} is not a port: choose one from 1 to {LAST_PORT} with --port (make up: PORT=NUMBER)"
        )
    return int(text)


def _run(parsed: argparse.Namespace) -> int:
    return up(
        UpOptions(
            data_dir=parsed.data_dir,
            hosts=parsed.host,
            port=parsed.port,
            library=parsed.library,
            mongo_uri=parsed.mongo_uri or os.environ.get("TAGIFY_MONGO_URI"),
            s3_endpoint=parsed.s3_endpoint or os.environ.get("TAGIFY_S3_ENDPOINT"),
            use_nginx=not parsed.no_nginx,
        )
    )

"""`tagify up`."""

import argparse
import os
from pathlib import Path

from tagify.cli.arguments import add_data_dir
from tagify.up.command import up
from tagify.up.stack import UpOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--library", type=Path, help="folder to watch (default: a generated sample)")
    add_data_dir(parser, "data folder")
    parser.add_argument("--host", default="127.0.0.1", help="address of the page (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="port of the page (%(default)s)")
    parser.add_argument("--mongo-uri", help="use this MongoDB (a replica set)")
    parser.add_argument(
        "--s3-endpoint",
        help="use this S3 server, with TAGIFY_S3_ACCESS_KEY and TAGIFY_S3_SECRET_KEY",
    )
    parser.add_argument("--no-nginx", action="store_true", help="run without nginx, even if it is installed")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    return up(
        UpOptions(
            data_dir=parsed.data_dir,
            host=parsed.host,
            port=parsed.port,
            library=parsed.library,
            mongo_uri=parsed.mongo_uri or os.environ.get("TAGIFY_MONGO_URI"),
            s3_endpoint=parsed.s3_endpoint or os.environ.get("TAGIFY_S3_ENDPOINT"),
            use_nginx=not parsed.no_nginx,
        )
    )

"""`tagify server`."""

import argparse

from tagify.deploy.install import servers
from tagify.deploy.install.run_server import run_server


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("server", choices=("mongod", "s3"), help="server to run")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    return run_server(
        servers.host_mongod().program if parsed.server == "mongod" else servers.host_s3_server().program
    )

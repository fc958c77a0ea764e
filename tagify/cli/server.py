"""`tagify server`."""

import argparse

from tagify.deploy.install import servers
from tagify.deploy.install.run_server import keep


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("server", choices=("mongod", "s3"))
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    return keep(servers.mongod().program if parsed.server == "mongod" else servers.store().program)

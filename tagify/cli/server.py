"""`tagify server`."""

import argparse

from tagify.cli.arguments import Commands


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("server", help="run this host's own MongoDB or S3 server, under systemd")
    parser.add_argument("server", choices=("mongod", "s3"))
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from tagify.deploy.install import servers  # noqa: PLC0415
    from tagify.deploy.install.run_server import keep  # noqa: PLC0415

    return keep(servers.mongod().program if parsed.server == "mongod" else servers.store().program)

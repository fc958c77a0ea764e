"""`tagify ingest`."""

import argparse
import os
import sys

from tagify.cli.arguments import Commands, add_data_dir, folder


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("ingest", help="import a folder once, with a summary at the end")
    add_data_dir(parser)
    parser.add_argument("--once", type=folder, metavar="PATH", required=True, help="the folder")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from tagify.servers.local_profile import adopt  # noqa: PLC0415

    adopt(parsed.data_dir)
    os.environ.setdefault("TAGIFY_LOG_LEVEL", "warning")
    # A process in place of this one: the command knows no service.
    command = [sys.executable, "-m", "ingest", "--once", str(parsed.once)]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is in it

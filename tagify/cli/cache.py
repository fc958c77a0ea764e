"""`tagify cache`."""

import argparse
import os
import sys

from tagify.cli.arguments import Commands, add_data_dir


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("cache", help="look at the edge's disk cache, or empty it")
    add_data_dir(parser)
    parser.add_argument("action", choices=("stats", "clear"))
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from tagify.servers.local_profile import adopt  # noqa: PLC0415

    adopt(parsed.data_dir)
    # A process in place of this one: the command knows no service.
    command = [sys.executable, "-m", "edge.cache", parsed.action]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is in it

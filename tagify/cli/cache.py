"""`tagify cache`."""

import argparse
import os
import sys

from tagify.cli.arguments import add_data_dir
from tagify.servers.local_profile import load_profile


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    parser.add_argument("action", choices=("stats", "clear"), help="print statistics, or empty it")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    load_profile(parsed.data_dir)
    # exec, not import: `tagify` must not depend on a service. -P: no module of the current folder.
    command = [sys.executable, "-P", "-m", "edge.cache", parsed.action]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is in it

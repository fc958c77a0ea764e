"""`tagify ingest`."""

import argparse
import os
import sys

from tagify.cli.arguments import absolute_path, add_data_dir
from tagify.servers.local_profile import load_profile


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_data_dir(parser)
    parser.add_argument("--once", type=absolute_path, metavar="PATH", required=True, help="folder to import")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    load_profile(parsed.data_dir)
    os.environ.setdefault("TAGIFY_LOG_LEVEL", "warning")
    # exec, not import: `tagify` must not depend on a service. -P: no module of the current folder.
    command = [sys.executable, "-P", "-m", "ingest", "--once", str(parsed.once)]
    os.execv(sys.executable, command)  # noqa: S606 - no shell is in it

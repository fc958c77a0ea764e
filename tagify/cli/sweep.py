"""`tagify sweep`."""

import argparse

from tagify.cli.arguments import Commands, add_data_dir


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("sweep", help="forget what has long been missing, remove unused objects")
    add_data_dir(parser)
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from tagify.admin.sweep import sweep  # noqa: PLC0415

    return sweep(parsed.data_dir)

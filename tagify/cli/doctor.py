"""`tagify doctor`."""

import argparse

from tagify.cli.arguments import Commands, add_data_dir


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="look at servers, limits and disks, and say what to mend")
    add_data_dir(parser)
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from tagify.doctor.command import doctor  # noqa: PLC0415

    return doctor(parsed.data_dir)

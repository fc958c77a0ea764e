"""`tagify tags`."""

import argparse

from tagify.cli.arguments import Commands, add_data_dir


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("tags", help="count tags anew, and repair what is wrong")
    add_data_dir(parser)
    what = parser.add_subparsers(required=True, metavar="WHAT")
    verifying = what.add_parser("verify", help="compare every stored count and spelling with the images")
    verifying.add_argument("--repair", action="store_true", help="make the wrong ones right")
    verifying.set_defaults(run=_verify)


def _verify(parsed: argparse.Namespace) -> int:
    from tagify.admin.tags import verify  # noqa: PLC0415

    return verify(parsed.data_dir, repair=parsed.repair)

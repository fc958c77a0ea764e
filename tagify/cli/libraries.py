"""`tagify libraries`."""

import argparse

from tagify.cli.arguments import Commands, add_data_dir


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("libraries", help="list the libraries, or approve of what was found in one")
    add_data_dir(parser)
    what = parser.add_subparsers(required=True, metavar="WHAT")
    listing = what.add_parser("list", help="a line for each library, with what it waits for")
    listing.set_defaults(run=_list)
    approving = what.add_parser(
        "approve", help="let the images go whose files have gone, and take its folder for right as it is"
    )
    approving.add_argument("library", metavar="NAME", help="its name, path or id")
    approving.set_defaults(run=_approve)


def _list(parsed: argparse.Namespace) -> int:
    from tagify.admin.libraries import show  # noqa: PLC0415

    return show(parsed.data_dir)


def _approve(parsed: argparse.Namespace) -> int:
    from tagify.admin.libraries import approve  # noqa: PLC0415

    return approve(parsed.data_dir, parsed.library)

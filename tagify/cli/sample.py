"""`tagify sample`."""

import argparse

from tagify.cli.arguments import Commands, folder


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser("sample", help="draw a sample library into a folder")
    parser.add_argument("folder", type=folder)
    parser.add_argument("--count", type=int, default=60, help="number of images (%(default)s)")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    from tagify.sample import make_sample  # noqa: PLC0415

    made = make_sample(parsed.folder, parsed.count)
    print(f"{made} images in {parsed.folder}")
    return 0

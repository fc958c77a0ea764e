"""`tagify sample`."""

import argparse

from tagify.cli.arguments import absolute_path
from tagify.sample import make_sample


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("folder", type=absolute_path, help="target folder")
    parser.add_argument("--count", type=int, default=60, help="number of images (%(default)s)")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    file_count = make_sample(parsed.folder, parsed.count)
    print(f"{file_count} images in {parsed.folder}")
    return 0

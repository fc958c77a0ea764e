"""The `tagify` command."""

import argparse
import os
import sys
from collections.abc import Sequence

from tagify import __version__
from tagify.cli import cache, doctor, ingest, install, libraries, nginx, sample, server, sweep, tags, up
from tagify.errors import TagifyError

COMMANDS = (up, doctor, ingest, libraries, cache, tags, sweep, nginx, sample, install, server)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status. A mistake is one line on standard error and status 1."""
    parsed = _parser().parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except TagifyError as error:
        print(f"tagify: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough of it; the interpreter must not flush into nothing at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tagify", description="Folders of images, browsable and taggable.")
    parser.add_argument("--version", action="version", version=f"tagify {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

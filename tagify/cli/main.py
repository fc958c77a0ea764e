"""The `tagify` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tagify import __version__
from tagify.errors import TagifyError
from tagify.printable import printable

COMMANDS = {
    "up": ("up", "run servers, services and the page on this machine"),
    "doctor": ("doctor", "check servers, limits and disks, and print a fix for each problem"),
    "ingest": ("ingest", "import a folder once and print a summary"),
    "libraries": ("libraries", "list libraries, or approve waiting deletions of one"),
    "cache": ("cache", "show statistics of the edge's disk cache, or clear it"),
    "tags": ("tags", "recount all tags, and repair wrong counts and spellings"),
    "sweep": ("sweep", "collect garbage: documents of long missing images, unreferenced objects"),
    "nginx": ("nginx", "write the configuration of NGINX"),
    "sample": ("sample", "draw a sample library into a folder"),
    "install": ("install", "install Tagify on this host under systemd (called by make install)"),
    "uninstall": ("install", "remove Tagify from this host; settings and data stay"),
    "restart": ("install", "restart all services of this host one by one, without dropping a request"),
    "server": ("server", "run the embedded MongoDB or S3 server of this host (for systemd)"),
}
"""Subcommands: the module of `tagify.cli` that configures it, and its help line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; returns its exit status. A TagifyError is one line on stderr and status 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        parsed = _parser(arguments).parse_args(arguments)
        status: int = parsed.run(parsed)
    except TagifyError as error:
        print(f"tagify: {printable(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader closed the pipe; the interpreter must not flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Build the parser: all subcommand names, but the options of the chosen one only."""
    parser = argparse.ArgumentParser(prog="tagify", description="Browse and tag folders of images.")
    parser.add_argument("--version", action="version", version=f"tagify {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    chosen = next((argument for argument in arguments if argument in COMMANDS), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == chosen:
            import_module(f"tagify.cli.{module}").configure(command)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

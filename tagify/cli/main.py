"""The `tagify` command."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from tagify import __version__
from tagify.errors import TagifyError

COMMANDS = {
    "up": ("up", "run everything here: servers, services and the page"),
    "doctor": ("doctor", "look at servers, limits and disks, and say what to mend"),
    "ingest": ("ingest", "import a folder once, with a summary at the end"),
    "libraries": ("libraries", "list the libraries, or approve of what was found in one"),
    "cache": ("cache", "look at the edge's disk cache, or empty it"),
    "tags": ("tags", "count tags anew, and repair what is wrong"),
    "sweep": ("sweep", "forget what has long been missing, remove unused objects"),
    "nginx": ("nginx", "write the configuration of NGINX"),
    "sample": ("sample", "draw a sample library into a folder"),
    "install": ("install", "make this host run Tagify by systemd; see make install"),
    "uninstall": ("install", "take Tagify off this host; settings and data stay"),
    "restart": ("install", "restart all services of this host, without a gap"),
    "server": ("server", "run this host's own MongoDB or S3 server, under systemd"),
}
"""Subcommands: the module of `tagify.cli` that adds it, and its line of help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand; its exit status. A mistake is one line on standard error and status 1."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = _parser(arguments).parse_args(arguments)
    try:
        status: int = parsed.run(parsed)
    except TagifyError as error:
        print(f"tagify: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader closed the pipe; the interpreter must not flush into it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """A parser that knows the options of the chosen subcommand, and of the others their names."""
    parser = argparse.ArgumentParser(prog="tagify", description="Folders of images, browsable and taggable.")
    parser.add_argument("--version", action="version", version=f"tagify {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    chosen = next((word for word in arguments if word in COMMANDS), None)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if name == chosen:
            import_module(f"tagify.cli.{module}").configure(command)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())

"""What several commands are given."""

import argparse
import os
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_data_dir(parser: argparse.ArgumentParser, what: str = "that of up") -> None:
    """The option `--data-dir`."""
    parser.add_argument("--data-dir", type=folder, default=default_data_dir(), help=f"{what} (%(default)s)")


def default_data_dir() -> Path:
    """Where a user's programs keep their data (XDG base directories)."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(base) / "tagify"


def folder(text: str) -> Path:
    """A folder as somebody typed it."""
    return Path(text).expanduser().absolute()

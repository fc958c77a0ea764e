"""Options and helpers shared by the subcommands."""

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tagify.catalog import Catalog
from tagify.servers.local_profile import load_profile
from tagify.settings import EdgeSettings, load

T = TypeVar("T")


def add_data_dir(parser: argparse.ArgumentParser, purpose: str = "data folder of `tagify up`") -> None:
    """Add the option `--data-dir`."""
    parser.add_argument(
        "--data-dir", type=absolute_path, default=default_data_dir(), help=f"{purpose} (%(default)s)"
    )


def default_data_dir() -> Path:
    """Return the default data folder, after the XDG base directory specification."""
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "tagify"


def absolute_path(text: str) -> Path:
    """Parse a path argument: expand `~`, make it absolute."""
    return Path(text).expanduser().absolute()


def with_catalog(data_dir: Path, work: Callable[[Catalog], Awaitable[T]]) -> T:
    """Run `work` with the catalog of the environment, or else of the profile in `data_dir`."""
    load_profile(data_dir)

    async def run() -> T:
        catalog = Catalog(load(EdgeSettings))
        try:
            return await work(catalog)
        finally:
            await catalog.close()

    return asyncio.run(run())

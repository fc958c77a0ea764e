"""The catalog that a command works on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from tagify.catalog import Catalog
from tagify.servers.local_profile import adopt
from tagify.settings import EdgeSettings, load

T = TypeVar("T")


def with_catalog(data_dir: Path, work: Callable[[Catalog], Awaitable[T]]) -> T:
    """The result of some work on the catalog of the environment, or of `tagify up` on that data folder."""
    adopt(data_dir)

    async def run() -> T:
        catalog = Catalog(load(EdgeSettings))
        try:
            return await work(catalog)
        finally:
            await catalog.close()

    return asyncio.run(run())

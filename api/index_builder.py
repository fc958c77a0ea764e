"""The indexes are made at start, however long MongoDB is away; until then the service is not ready."""

import asyncio
import logging

from tagify.catalog import Catalog
from tagify.errors import TagifyError, Unavailable

logger = logging.getLogger(__name__)

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0


class Indexing:
    """Makes the indexes once, and knows whether it has."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._done = False

    async def run(self) -> None:
        """Return when they are made."""
        wait = FIRST_WAIT_S
        while not self._done:
            try:
                await self._catalog.ensure_indexes()
                self._done = True
            except TagifyError as error:
                logger.warning("waiting to make the indexes: %s", error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, LONGEST_WAIT_S)

    async def check(self) -> None:
        """Return when they are made and a primary answers. Raises Unavailable."""
        await self._catalog.ping()
        if not self._done:
            raise Unavailable("the indexes are being made")

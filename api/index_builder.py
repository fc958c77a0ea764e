"""The indexes are made at start, however long MongoDB is away; until then the service is not ready."""

import logging

from tagify.catalog import Catalog
from tagify.concurrency.retry import Backoff, retry
from tagify.errors import TagifyError, Unavailable

logger = logging.getLogger(__name__)

RETRY = Backoff(first_s=0.5, longest_s=10.0)


class Indexing:
    """Makes the indexes once, and knows whether it has."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._done = False

    async def run(self) -> None:
        """Return when they are made."""
        await retry(self._catalog.ensure_indexes, on=TagifyError, backoff=RETRY, on_failure=_warn)
        self._done = True

    async def check(self) -> None:
        """Return when they are made and a primary answers. Raises Unavailable."""
        await self._catalog.ping()
        if not self._done:
            raise Unavailable("the indexes are being made")


def _warn(_: int, error: Exception) -> None:
    logger.warning("waiting to make the indexes: %s", error)

"""Builds the MongoDB indexes at start, with retries; the service is not ready before."""

import logging

from tagify.catalog import Catalog
from tagify.concurrency.retry import Backoff, retry
from tagify.errors import TagifyError, Unavailable

logger = logging.getLogger(__name__)

RETRY = Backoff(first_s=0.5, longest_s=10.0)


class IndexBuilder:
    """Builds the indexes once, retrying with exponential backoff while MongoDB is unavailable."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._done = False

    async def run(self) -> None:
        """Return once the indexes are built."""
        await retry(self._catalog.ensure_indexes, on=TagifyError, backoff=RETRY, on_failure=_warn)
        self._done = True

    async def check(self) -> None:
        """Readiness check: the indexes are built and a primary responds. Raises Unavailable."""
        await self._catalog.ping()
        if not self._done:
            raise Unavailable("the indexes are being built")


def _warn(_: int, error: Exception) -> None:
    if isinstance(error, Unavailable):
        logger.debug("cannot build the indexes while MongoDB is down: %s", error)
    else:
        logger.warning("cannot build the indexes yet; retrying: %s", error)

"""Purges the caches of the NGINX in front of this edge, by the exact cache keys of its configuration."""

import asyncio
import itertools
import logging
from collections.abc import Iterator, Sequence
from http import HTTPStatus

import aiohttp
from yarl import URL

from edge.variants.key import all_variant_keys
from tagify.catalog import PurgeEntry
from tagify.deploy.nginx.cache_purge import NORMALIZED_ACCEPTS, SLICE_BYTES
from tagify.errors import Unavailable

logger = logging.getLogger(__name__)

MAX_CONCURRENT_REQUESTS = 8
"""Concurrent purge requests."""

TIMEOUT_S = 5.0

_PURGED = {HTTPStatus.OK, HTTPStatus.NOT_FOUND}
"""Purged, or not in the cache."""


class NginxCachePurger:
    """Sends purge requests to NGINX's purge site, which listens on loopback only."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, widths: Sequence[int], origins: Sequence[str]
    ) -> None:
        """`origins`: the CORS origins; NGINX caches a response for each of them."""
        self._session = session
        self._url = url
        self._widths = widths
        self._origins = ("", *origins)
        self._warned = False

    async def purge(self, purge: PurgeEntry) -> None:
        """Purge every response that a content can have. Raises Unavailable.

        Without the purge module in NGINX does nothing: cached responses expire by their age.
        """
        if await self._request("") != HTTPStatus.NO_CONTENT:
            if not self._warned:
                logger.info("NGINX at %s has no purge module; removed images expire by age", self._url)
                self._warned = True
            return
        targets = self._targets(purge)
        while batch := list(itertools.islice(targets, MAX_CONCURRENT_REQUESTS)):
            statuses = await asyncio.gather(*(self._request(target) for target in batch))
            if failures := set(statuses) - _PURGED:
                raise Unavailable(f"NGINX returned {min(failures)} to a purge request")

    def _targets(self, purge: PurgeEntry) -> Iterator[str]:
        """The cache keys of a content, as paths below /purge."""
        content = purge.content
        for origin in self._origins:
            for variant in all_variant_keys(content, self._widths):
                if variant.width:
                    yield f"{variant.path}?origin={origin}"
            for accept in NORMALIZED_ACCEPTS:
                yield f"/thumb/{content}?origin={origin}&accept={accept}"
            for first in range(0, purge.length, SLICE_BYTES):
                byte_range = f"bytes={first}-{first + SLICE_BYTES - 1}"
                yield f"/media/{content}/original?origin={origin}&slice={byte_range}"

    async def _request(self, target: str) -> int:
        try:
            # Sent as written: the cache keys contain the arguments undecoded.
            async with self._session.get(URL(f"{self._url}/purge{target}", encoded=True)) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"NGINX does not respond at {self._url}") from error


def purge_session() -> aiohttp.ClientSession:
    """An HTTP session for NGINX's purge site."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONCURRENT_REQUESTS),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
    )

"""NGINX's caches in front of this edge, purged by the exact keys of its configuration."""

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
"""Requests to NGINX at the same time."""

TIMEOUT_S = 5.0

_PURGED = {HTTPStatus.OK, HTTPStatus.NOT_FOUND}
"""Purged, or nothing of this key was there."""


class NginxCachePurger:
    """The caches of the NGINX that answers at this URL, a site of its own on loopback."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, *, widths: Sequence[int], origins: Sequence[str]
    ) -> None:
        """`origins`: those that may see answers, for which NGINX keeps copies of their own."""
        self._session = session
        self._url = url
        self._widths = widths
        self._origins = ("", *origins)
        self._warned = False

    async def purge(self, purge: PurgeEntry) -> None:
        """Take all that can be there of a content out of them. Raises Unavailable.

        Where NGINX has no such module nothing is done: what it keeps goes with its age.
        """
        if await self._request("") != HTTPStatus.NO_CONTENT:
            if not self._warned:
                logger.info("NGINX at %s keeps what was removed: it has no module to purge", self._url)
                self._warned = True
            return
        targets = self._targets(purge)
        while batch := list(itertools.islice(targets, MAX_CONCURRENT_REQUESTS)):
            statuses = await asyncio.gather(*(self._request(target) for target in batch))
            if failures := set(statuses) - _PURGED:
                raise Unavailable(f"NGINX answered {min(failures)} to a purge")

    def _targets(self, purge: PurgeEntry) -> Iterator[str]:
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
            # As it is written: the keys hold the arguments undecoded.
            async with self._session.get(URL(f"{self._url}/purge{target}", encoded=True)) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"NGINX does not answer at {self._url}") from error


def purge_session() -> aiohttp.ClientSession:
    """A client for NGINX's site on loopback."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=MAX_CONCURRENT_REQUESTS),
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
    )

"""One daemon for each library: whoever holds its lease. Another waits, and takes over when that one dies."""

import asyncio
import logging
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from tagify.catalog import Catalog
from tagify.concurrency.retry import OUTAGES, retry_while_unavailable
from tagify.concurrency.tasks import run_to_completion
from tagify.errors import TagifyError
from tagify.logs import fields
from tagify.model import Lease, Library, LibraryId

logger = logging.getLogger(__name__)

LIFETIME_S = 20.0
"""A lease that is not renewed ends after this time, by MongoDB's clock, in seconds."""

RENEW_S = 5.0
"""Time between two renewals, in seconds."""

ACQUIRE_INTERVAL_S = 1.0
"""Time between two questions for a lease that another holds, in seconds."""


NOT_HELD = -1
"""A fencing token that no lease has: a write with it is rejected."""


class HeldLeases:
    """The fencing tokens of the leases that this process holds now, by library."""

    def __init__(self) -> None:
        self._tokens: dict[LibraryId, int] = {}

    def add(self, library_id: LibraryId, token: int) -> None:
        """The lease on the library was acquired with this token."""
        self._tokens[library_id] = token

    def remove(self, library_id: LibraryId) -> None:
        """The lease is no longer used."""
        self._tokens.pop(library_id, None)

    def token(self, library_id: LibraryId) -> int:
        """The token of the lease on the library; NOT_HELD if we do not hold it."""
        return self._tokens.get(library_id, NOT_HELD)

    def fences(self, library_ids: Iterable[LibraryId]) -> Mapping[LibraryId, int]:
        """The tokens for a batch of writes to these libraries."""
        return {library_id: self.token(library_id) for library_id in library_ids}


def new_owner_id() -> str:
    """A name for this process that no other ever has: its host, pid, start and a number."""
    return f"{_host_id()}/{os.getpid()}/{process_start_time(os.getpid())}/{secrets.token_hex(4)}"


async def acquire(catalog: Catalog, library: Library, owner: str) -> int:
    """The token of the library's lease, once it can be had."""
    lease = await _try_acquire(catalog, library, owner)
    if lease.owner == owner:
        return lease.token
    logger.warning("another daemon keeps this library; waiting for it", extra=_lease_fields(library, lease))
    with OUTAGES.get().counted("lease"):
        while lease.owner != owner:
            await asyncio.sleep(ACQUIRE_INTERVAL_S)
            lease = await _try_acquire(catalog, library, owner)
    return lease.token


async def _try_acquire(catalog: Catalog, library: Library, owner: str) -> Lease:
    """The lease as it is after asking for it; one of a process that is known to have died is taken over."""

    async def ask() -> Lease:
        # Cancelled in the middle, it could be ours without our knowing.
        return await run_to_completion(catalog.leases.acquire(library.id, owner, LIFETIME_S))

    lease = await retry_while_unavailable("catalog", ask)
    if lease.owner == owner or not is_dead_process(lease.owner):
        return lease
    over = await retry_while_unavailable(
        "catalog", lambda: catalog.leases.take_over(library.id, lease, owner, LIFETIME_S)
    )
    return over or lease


async def renew_until_lost(catalog: Catalog, library: Library, token: int) -> None:
    """Renew the lease until it is another's, then return."""
    while True:
        if not await retry_while_unavailable(
            "catalog", lambda: catalog.leases.renew(library.id, token, LIFETIME_S)
        ):
            break
        await asyncio.sleep(RENEW_S)
    logger.warning("another daemon has taken over this library", extra=fields(library=library.name))


async def release(catalog: Catalog, library: Library, owner: str) -> None:
    """Let another have it at once. Where the catalog is away, the lease ends by itself."""
    try:
        await catalog.leases.release(library.id, owner)
    except TagifyError as error:
        logger.info("the lease ends by itself: %s", error, extra=fields(library=library.name))


def _lease_fields(library: Library, lease: Lease) -> dict[str, object]:
    return fields(library=library.name, path=library.path, owner=lease.owner)


def is_dead_process(owner: str) -> bool:
    """Whether the owner is a process of this host and namespace that is not there any more."""
    place, pid, since, _ = owner.split("/")
    return place == _host_id() and process_start_time(int(pid)) != since


def _host_id() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it names no path
    except OSError:
        return secrets.token_hex(8)
    return f"{boot}:{namespace}"


def process_start_time(pid: int) -> str:
    """When the process began, in ticks since boot (field 22 of proc(5)'s stat); empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""

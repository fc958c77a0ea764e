"""Leases: one daemon at a time writes a library. Another one waits, and takes over when the holder dies."""

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
"""A lease that is not renewed expires after this time, by MongoDB's clock, in seconds."""

RENEW_S = 5.0
"""Time between two renewals, in seconds."""

ACQUIRE_INTERVAL_S = 1.0
"""Time between two attempts to acquire a lease that another daemon holds, in seconds."""


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
    """A unique id of this process: host, pid, start time and a random number."""
    return f"{_host_id()}/{os.getpid()}/{process_start_time(os.getpid())}/{secrets.token_hex(4)}"


async def acquire(catalog: Catalog, library: Library, owner: str) -> int:
    """Wait until the library's lease is ours; its fencing token."""
    lease = await _try_acquire(catalog, library, owner)
    if lease.owner == owner:
        return lease.token
    logger.warning(
        "another daemon holds the lease of this library; waiting for it", extra=_lease_fields(library, lease)
    )
    with OUTAGES.get().counted("lease"):
        while lease.owner != owner:
            await asyncio.sleep(ACQUIRE_INTERVAL_S)
            lease = await _try_acquire(catalog, library, owner)
    return lease.token


async def _try_acquire(catalog: Catalog, library: Library, owner: str) -> Lease:
    """The lease after an attempt to acquire it. The lease of a dead process of this host is taken over."""

    async def attempt() -> Lease:
        # Not cancellable: a lease that is acquired at that moment would never be released.
        return await run_to_completion(catalog.leases.acquire(library.id, owner, LIFETIME_S))

    lease = await retry_while_unavailable("catalog", attempt)
    if lease.owner == owner or not is_dead_process(lease.owner):
        return lease
    taken_over = await retry_while_unavailable(
        "catalog", lambda: catalog.leases.take_over(library.id, lease, owner, LIFETIME_S)
    )
    return taken_over or lease


async def renew_until_lost(catalog: Catalog, library: Library, token: int) -> None:
    """Renew the lease; return when another daemon holds it."""
    while True:
        if not await retry_while_unavailable(
            "catalog", lambda: catalog.leases.renew(library.id, token, LIFETIME_S)
        ):
            break
        await asyncio.sleep(RENEW_S)
    logger.warning("lease of the library lost to another daemon", extra=fields(library=library.name))


async def release(catalog: Catalog, library: Library, owner: str) -> None:
    """Release the lease for another daemon. While the catalog is unavailable, it is left to expire."""
    try:
        await catalog.leases.release(library.id, owner)
    except TagifyError as error:
        logger.info("lease not released, it will expire: %s", error, extra=fields(library=library.name))


def _lease_fields(library: Library, lease: Lease) -> dict[str, object]:
    return fields(library=library.name, path=library.path, owner=lease.owner)


def is_dead_process(owner: str) -> bool:
    """Whether the owner was a process of this host and PID namespace, and no longer runs.

    False for any other text: the empty owner of a free lease, an id of another version.
    """
    match owner.split("/"):
        case [host, pid, start_time, _] if pid.isascii() and pid.isdigit():
            return host == _host_id() and process_start_time(int(pid)) != start_time
        case _:
            return False


def _host_id() -> str:
    """The boot id and the PID namespace; a random text where they cannot be read, which equals no other."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - it names no path
    except OSError:
        return secrets.token_hex(8)
    return f"{boot}:{namespace}"


def process_start_time(pid: int) -> str:
    """Start of a process in ticks since boot (proc(5), stat, field 22); empty if it does not run."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""

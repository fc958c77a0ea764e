"""Checks of MongoDB, the S3 server and the libraries, through the packages that the services use."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from tagify.catalog import Catalog
from tagify.doctor.finding import Finding, error, ok, warning
from tagify.errors import TagifyError
from tagify.model import Library, LibraryState
from tagify.servers import s3, seaweedfs
from tagify.servers.ports import accepts_plaintext_grpc
from tagify.storage.store import ObjectStore

MIN_MONGODB_MAJOR = 6
END_OF_LIFE = {"6.0": date(2025, 7, 31), "7.0": date(2027, 8, 31), "8.0": date(2029, 10, 31)}
"""Last day of security fixes of a MongoDB series, as its vendor announced it."""

KEPT_MONGODB = "8.0"
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""S3 refuses requests with a clock skew of 15 minutes; a minute means that NTP does not run."""


async def check_mongodb(catalog: Catalog) -> AsyncIterator[Finding]:
    """Check that MongoDB is reachable, recent enough, a writable replica set, and journaled."""
    try:
        facts = await catalog.server_info()
    except TagifyError as failure:
        yield error(f"MongoDB: {failure}", "start it, or set TAGIFY_MONGO_URI")
        return
    if int(facts.version.partition(".")[0]) < MIN_MONGODB_MAJOR:
        yield error(f"MongoDB {facts.version}", f"upgrade it to {MIN_MONGODB_MAJOR}.0 or later")
    else:
        yield check_mongodb_version(facts.version, datetime.now(UTC).date())
    if facts.replica_set is None:
        yield error("MongoDB is not a replica set", "start it with --replSet rs0, then rs.initiate()")
    elif not facts.writable:
        yield error(
            f"{facts.replica_set}: this node is not the primary", "list all nodes in TAGIFY_MONGO_URI"
        )
    else:
        yield ok(f"replica set {facts.replica_set}, writable")
    if facts.journaled:
        yield ok("acknowledged writes are journaled")
    else:
        yield error("this storage engine has no journal", "use WiredTiger")


def check_mongodb_version(version: str, today: date) -> Finding:
    """Check that this version of MongoDB still gets security fixes."""
    message = f"MongoDB {version} is reachable"
    last_day = END_OF_LIFE.get(".".join(version.split(".")[:2]))
    if last_day is None or today <= last_day:
        return ok(message)
    return warning(
        f"{message}, and has had no security fixes since {last_day}: for a trial on one machine only",
        f"use MongoDB {KEPT_MONGODB} (docs/how-to/own-servers.md)",
    )


async def check_seaweedfs(endpoint: str, folder: Path) -> AsyncIterator[Finding]:
    """Check that gRPC of the embedded SeaweedFS with this folder is closed to other users of the host."""
    port = urlsplit(endpoint).port
    if port is None or not s3.was_written_by(folder, "seaweedfs"):
        return
    ports = [port + offset for offset in seaweedfs.GRPC_PORT_OFFSETS]
    open_ports = [port for port in ports if await accepts_plaintext_grpc(port)]
    if open_ports:
        yield error(
            f"SeaweedFS: every user of this host can delete objects through port {open_ports[0]}",
            "restart it with this release, which makes its gRPC ports require a certificate",
        )
    else:
        yield ok("SeaweedFS: its gRPC ports accept no client without its certificate")


async def check_libraries(catalog: Catalog) -> AsyncIterator[Finding]:
    """Check that no library is suspended and no last scan failed."""
    for library in await list_libraries(catalog):
        message = f"library {library.name}: {library.indexed_count:,} images in {library.path}"
        if left_out := describe_left_out(library):
            message += f"; {left_out}"
        if library.state is LibraryState.SUSPENDED or library.scan_error:
            yield warning(
                f"{message}; {library.scan_error}", "restore the folder; the library resumes automatically"
            )
        else:
            yield ok(message)


def describe_left_out(library: Library) -> str:
    """The numbers of failed, damaged and skipped files as text; empty if there are none."""
    counts = {"failed": library.failed_count, "damaged": library.damaged_count}
    parts = [f"{count:,} {kind}" for kind, count in counts.items() if count]
    if library.skipped:
        kinds = ", ".join(f"{count:,} {suffix or 'without suffix'}" for suffix, count in library.skipped)
        parts.append(f"skipped: {kinds}")
    return "; ".join(parts)


async def list_libraries(catalog: Catalog) -> list[Library]:
    """Return the libraries; an empty list if MongoDB is unreachable."""
    try:
        return await catalog.libraries.list_all()
    except TagifyError:
        return []


async def check_s3(blobs: ObjectStore, region: str) -> AsyncIterator[Finding]:
    """Check that the S3 server is reachable, has the buckets, and its clock agrees with ours."""
    try:
        await blobs.ping()
    except TagifyError as failure:
        fix = "start it, or set TAGIFY_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY and _REGION"
        if str(failure).startswith("bucket "):
            fix = "start ingest: it creates the buckets"
        yield error(f"S3: {failure}", fix)
        return
    yield ok(f"S3 is reachable, its buckets exist, region {region}")
    skew = await blobs.clock_skew()
    message = f"S3's clock is {abs(skew.total_seconds()):.0f} s off"
    yield (
        ok(message)
        if abs(skew) <= MAX_CLOCK_SKEW
        else error(message, "synchronize both clocks by NTP (timedatectl set-ntp true)")
    )

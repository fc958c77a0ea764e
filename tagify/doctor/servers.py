"""Looks at MongoDB and at the S3 server, through the same rooms that the services use."""

from collections.abc import AsyncIterator
from datetime import timedelta

from tagify.catalog import Catalog
from tagify.doctor.finding import Finding, error, ok, warning
from tagify.errors import TagifyError
from tagify.model import Library, LibraryState
from tagify.storage.store import ObjectStore

MIN_MONGODB_MAJOR = 6
MAX_CLOCK_SKEW = timedelta(seconds=60)
"""S3 refuses requests whose clock is 15 minutes off; a minute is a sign that nobody keeps it."""


async def check_mongodb(catalog: Catalog) -> AsyncIterator[Finding]:
    """Reachable, new enough, a writable replica set, with a journal?"""
    try:
        facts = await catalog.server_info()
    except TagifyError as failure:
        yield error(f"MongoDB: {failure}", "start it, or set TAGIFY_MONGO_URI to where it is")
        return
    if int(facts.version.partition(".")[0]) < MIN_MONGODB_MAJOR:
        yield error(f"MongoDB {facts.version}", f"upgrade it to {MIN_MONGODB_MAJOR}.0 or later")
    else:
        yield ok(f"MongoDB {facts.version} answers")
    if facts.replica_set is None:
        yield error("MongoDB is no replica set", "start it with --replSet rs0, then rs.initiate()")
    elif not facts.writable:
        yield error(f"{facts.replica_set}: this node is no primary", "name all nodes in TAGIFY_MONGO_URI")
    else:
        yield ok(f"replica set {facts.replica_set}, writable")
    if facts.journaled:
        yield ok("acknowledged writes are journaled")
    else:
        yield error("this storage engine keeps no journal", "use WiredTiger")


async def check_libraries(catalog: Catalog) -> AsyncIterator[Finding]:
    """Is any library suspended, or did its last scan fail?"""
    for library in await list_libraries(catalog):
        message = f"library {library.name}: {library.indexed_count:,} images in {library.path}"
        if library.state is LibraryState.SUSPENDED or library.scan_error:
            yield warning(f"{message}; {library.scan_error}", "bring the folder back; it goes on by itself")
        else:
            yield ok(message)


async def list_libraries(catalog: Catalog) -> list[Library]:
    """The libraries; none where MongoDB is away."""
    try:
        return await catalog.libraries.list_all()
    except TagifyError:
        return []


async def check_s3(blobs: ObjectStore, region: str) -> AsyncIterator[Finding]:
    """Reachable, buckets there, region right, clocks together?"""
    try:
        await blobs.ping()
    except TagifyError as failure:
        fix = "start it, or set TAGIFY_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY and _REGION"
        if "is not there" in str(failure):
            fix = "start ingest: it makes the buckets"
        yield error(f"S3: {failure}", fix)
        return
    yield ok(f"S3 answers, its buckets are there, region {region}")
    skew = await blobs.clock_skew()
    message = f"S3's clock is {abs(skew.total_seconds()):.0f} s off this machine's"
    yield (
        ok(message)
        if abs(skew) <= MAX_CLOCK_SKEW
        else error(message, "let both keep time by NTP (timedatectl set-ntp true)")
    )

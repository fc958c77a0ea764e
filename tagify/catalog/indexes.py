"""Index definitions, and their creation at start. Creating an existing index costs nothing."""

import itertools
from collections.abc import Iterator

from pymongo import ASCENDING, DESCENDING, IndexModel

from tagify.catalog.database import Database
from tagify.catalog.mapping import PRESENT
from tagify.catalog.migrations import run_migrations
from tagify.catalog.purge_log import RETENTION
from tagify.catalog.queries.keyset import ORDERS
from tagify.catalog.queries.planner import index_name
from tagify.catalog.tags.edits import UNDO_LIFETIME
from tagify.catalog.transactions import Transactions
from tagify.model import ImageState


def _listing_indexes() -> Iterator[IndexModel]:
    """For each sort order one index of all images, per library, per tag, and per tag and library.

    Each starts with the state, so that a page never scans missing or failed images. Paths are unique
    only in a library, so the order by path has no indexes without one.
    """
    for order, library, tags in itertools.product(ORDERS.values(), (False, True), (False, True)):
        if library or order.field != "path":
            fields = ["state", *(["library_id"] if library else []), *(["tags"] if tags else [])]
            keys = [*((field, ASCENDING) for field in fields), *order.sort()]
            yield IndexModel(keys, name=index_name(order, library=library, tags=tags))


IMAGES = [
    *_listing_indexes(),
    # One present image per path; many missing images may have had the same path.
    IndexModel(
        [("library_id", ASCENDING), ("path", ASCENDING)],
        name="present_path",
        unique=True,
        partialFilterExpression=PRESENT,
    ),
    IndexModel([("content", ASCENDING), ("state", ASCENDING)], name="content"),
    IndexModel([("inode", ASCENDING)], name="inode"),
    IndexModel(
        [("state", ASCENDING), ("missing_since", ASCENDING)],
        name="missing_since",
        partialFilterExpression={"state": ImageState.MISSING.value},
    ),
    IndexModel(
        [("state", ASCENDING), ("kept_tags", ASCENDING)],
        name="kept_tags",
        partialFilterExpression={"state": ImageState.MISSING.value},
    ),
    IndexModel([("library_id", ASCENDING), ("_id", ASCENDING)], name="library"),
]

JOBS = [
    IndexModel([("state", ASCENDING), ("_id", ASCENDING)], name="oldest"),
    IndexModel([("finished_at", ASCENDING)], name="expiry", expireAfterSeconds=7 * 86_400),
]

LIBRARIES = [IndexModel([("path", ASCENDING)], name="path", unique=True)]

PURGES = [
    IndexModel([("at", ASCENDING), ("_id", ASCENDING)], name="oldest"),
    IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=int(RETENTION.total_seconds())),
]

_MOST_USED = [("count", DESCENDING), ("key", ASCENDING)]

TAGS = [
    # Includes the name, so that a library's tags are a covered query (null library ids cannot be covered).
    IndexModel([("library_id", ASCENDING), *_MOST_USED, ("name", ASCENDING)], name="most_used_names"),
    IndexModel([("library_id", ASCENDING), ("heads", ASCENDING), *_MOST_USED], name="completion"),
    IndexModel([("key", ASCENDING)], name="key"),
]

UNDOS = [
    IndexModel([("token", ASCENDING)], name="token"),
    IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=int(UNDO_LIFETIME.total_seconds())),
]


async def create_indexes(database: Database, transactions: Transactions) -> None:
    """Create missing indexes, and run the migrations that this catalog has not had."""
    await database.images.create_indexes(IMAGES)
    await database.libraries.create_indexes(LIBRARIES)
    await database.tags.create_indexes(TAGS)
    await database.undos.create_indexes(UNDOS)
    await database.jobs.create_indexes(JOBS)
    await database.purges.create_indexes(PURGES)
    await run_migrations(database, transactions)

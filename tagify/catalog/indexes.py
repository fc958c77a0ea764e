"""The indexes that the queries need, made at start. Making one that is there costs nothing."""

import itertools
from collections.abc import Iterator

from pymongo import ASCENDING, DESCENDING, IndexModel

from tagify.catalog.autocomplete import backfill_prefixes
from tagify.catalog.database import Database
from tagify.catalog.mapping import PRESENT
from tagify.catalog.purge_log import RETENTION
from tagify.catalog.queries.keyset import ORDERS
from tagify.catalog.queries.planner import index_name
from tagify.catalog.tags.edits import UNDO_LIFETIME
from tagify.model import ImageState


def _of_lists() -> Iterator[IndexModel]:
    """For each order one of all images, of a library's, of a tag's, and of a tag's in a library.

    Every page of a list names a state first, so that what is missing or failed is never walked over.
    A path says nothing without its library.
    """
    for order, library, tags in itertools.product(ORDERS.values(), (False, True), (False, True)):
        if library or order.field != "path":
            fields = ["state", *(["library_id"] if library else []), *(["tags"] if tags else [])]
            keys = [*((field, ASCENDING) for field in fields), *order.sort()]
            yield IndexModel(keys, name=index_name(order, library=library, tags=tags))


IMAGES = [
    *_of_lists(),
    # One present image for a path; what is missing may have had the same one, many times over.
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
    # With the name, so that the list of a library's tags is read from the index alone; a null never is.
    IndexModel([("library_id", ASCENDING), *_MOST_USED, ("name", ASCENDING)], name="most_used_names"),
    IndexModel([("library_id", ASCENDING), ("heads", ASCENDING), *_MOST_USED], name="completion"),
    IndexModel([("key", ASCENDING)], name="key"),
]

UNDOS = [
    IndexModel([("token", ASCENDING)], name="token"),
    IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=int(UNDO_LIFETIME.total_seconds())),
]


async def create_indexes(database: Database) -> None:
    """Make what is not there."""
    await database.images.create_indexes(IMAGES)
    await database.libraries.create_indexes(LIBRARIES)
    await database.tags.create_indexes(TAGS)
    await database.undos.create_indexes(UNDOS)
    await database.jobs.create_indexes(JOBS)
    await database.purges.create_indexes(PURGES)
    await backfill_prefixes(database.tags)

"""The indexes that the queries need, made at start. Making one that is there costs nothing."""

from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.database import AsyncDatabase

from tagify.catalog.completion import fill_in
from tagify.catalog.retag import UNDO_LIFETIME
from tagify.model import ImageState

Database = AsyncDatabase[dict[str, Any]]

PRESENT = {"state": {"$in": [ImageState.READY.value, ImageState.FAILED.value]}}
"""Documents whose file is in its folder. Partial indexes with `$in` ask for MongoDB 6.0."""

_NEWEST = ("_id", DESCENDING)

IMAGES = [
    # Every page of a list names a state first, so that what is missing or failed is never walked over.
    IndexModel([("state", ASCENDING), _NEWEST], name="newest"),
    IndexModel([("state", ASCENDING), ("library_id", ASCENDING), _NEWEST], name="library_newest"),
    IndexModel([("state", ASCENDING), ("tags", ASCENDING), _NEWEST], name="tag_newest"),
    IndexModel(
        [("state", ASCENDING), ("library_id", ASCENDING), ("tags", ASCENDING), _NEWEST],
        name="library_tag_newest",
    ),
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
    IndexModel([("library_id", ASCENDING), ("_id", ASCENDING)], name="library"),
]

LIBRARIES = [IndexModel([("path", ASCENDING)], name="path", unique=True)]

_MOST_USED = [("count", DESCENDING), ("key", ASCENDING)]

TAGS = [
    # With the name, so that the list of tags is read from the index alone.
    IndexModel([("library_id", ASCENDING), *_MOST_USED, ("name", ASCENDING)], name="most_used_names"),
    IndexModel([("library_id", ASCENDING), ("heads", ASCENDING), *_MOST_USED], name="completion"),
    IndexModel([("key", ASCENDING)], name="key"),
]

UNDOS = [
    IndexModel([("token", ASCENDING)], name="token"),
    IndexModel([("at", ASCENDING)], name="expiry", expireAfterSeconds=int(UNDO_LIFETIME.total_seconds())),
]


async def ensure(database: Database) -> None:
    """Make what is not there."""
    await database.images.create_indexes(IMAGES)
    await database.libraries.create_indexes(LIBRARIES)
    await database.tags.create_indexes(TAGS)
    await database.undos.create_indexes(UNDOS)
    await fill_in(database.tags)

"""A synthetic catalog of a million images: documents as ingest writes them, derived from their number.

500 tags with a long tail, 50 libraries of very different size. Ten of the tags are years, each on consecutive
images, so that no image has two of them; two are `day` and `night`, on alternating images.
"""

import hashlib
import itertools
import random
import struct
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId
from pymongo import MongoClient
from pymongo.database import Database

from tagify.catalog.mapping import file_fields, picture_fields
from tagify.model import FileFacts, Picture
from tagify.tagnames import tag_key

LIBRARIES = 50
YEARS = [str(year) for year in range(2015, 2025)]
OTHERS = [f"tag {number:03}" for number in range(488)]
BATCH = 5000
FOLDERS = ("holiday", "garden", "märz-ausflug", "birthday", "work", "snow")
START = datetime(2015, 1, 1, tzinfo=UTC)

Doc = dict[str, Any]


def library_id(number: int) -> ObjectId:
    """The id of a library."""
    return _id(number, 0)


def image_id(number: int) -> ObjectId:
    """The id of an image."""
    return _id(number, 1)


def _id(number: int, kind: int) -> ObjectId:
    """An id that sorts by number; a thousand share a second."""
    return ObjectId(struct.pack(">IIHH", 1_600_000_000 + number // 1000, kind, 0, number % 1000))


def images(first: int, count: int, total: int) -> Iterator[Doc]:
    """The documents of `count` images from number `first`, of `total` images."""
    chance = random.Random(first)
    library_weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(LIBRARIES)))
    tag_weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(len(OTHERS))))
    for number in range(first, first + count):
        library = chance.choices(range(LIBRARIES), cum_weights=library_weights)[0]
        tags = chance.choices(OTHERS, cum_weights=tag_weights, k=chance.choice((0, 1, 2, 3)))
        if chance.random() < 0.8:
            tags += [YEARS[number * len(YEARS) // total], ("day", "night")[number % 2]]
        yield _image(number, library, list(dict.fromkeys(tags)), chance)


def _image(number: int, library: int, tags: list[str], chance: random.Random) -> Doc:
    taken = START + timedelta(seconds=chance.randrange(300_000_000))
    path = f"{taken.year}/{taken:%m}-{chance.choice(FOLDERS)}/IMG_{number:07}.jpg"
    picture = Picture("image/jpeg", 4032, 3024, chance.randbytes(25), taken, camera="Pixel 7")
    return {
        "_id": image_id(number),
        "library_id": library_id(library),
        **file_fields(FileFacts(path, 3_000_000 + number, number * 1_000_000_000, number + 1)),
        **picture_fields(picture),
        "content": hashlib.sha256(str(number).encode()).hexdigest(),
        "tags": tags,
        "state": "ready",
        "error": "",
        "added_at": taken,
        "updated_at": taken,
    }


def fill(database: Database[Doc], total: int, first: int = 0) -> None:
    """Insert images, tag counts and libraries directly into an empty database."""
    counts: Counter[tuple[ObjectId | None, str]] = Counter()
    sizes: Counter[ObjectId] = Counter()
    for start in range(first, first + total, BATCH):
        docs = list(images(start, min(BATCH, first + total - start), first + total))
        database.images.insert_many(docs, ordered=False)
        for doc in docs:
            sizes[doc["library_id"]] += 1
            counts.update((scope, tag) for tag in doc["tags"] for scope in (None, doc["library_id"]))
    database.tags.insert_many(_tag(scope, tag, count) for (scope, tag), count in counts.items())
    database.libraries.insert_many(_library(number, sizes) for number in range(LIBRARIES))


def _tag(scope: ObjectId | None, tag: str, count: int) -> Doc:
    tag_id = {"library_id": scope, "key": tag_key(tag)}
    return {"_id": tag_id, **tag_id, "name": tag, "count": count}


def _library(number: int, sizes: Counter[ObjectId]) -> Doc:
    id_ = library_id(number)
    return {
        "_id": id_,
        "name": f"Library {number}",
        "path": f"/srv/library-{number}",
        "state": "active",
        "scanning": False,
        "scan_total": 0,
        "scan_done": 0,
        "indexed_count": sizes[id_],
        "last_scanned": START,
        "scan_error": "",
        "rescan_requested": 0,
    }


def ensure(uri: str, name: str, total: int) -> None:
    """Fill the database, unless it is filled."""
    with MongoClient[Doc](uri, w=1) as client:
        database = client.get_database(name)
        if database.libraries.count_documents({}) == LIBRARIES:  # written last
            return
        client.drop_database(name)
        fill(database, total)

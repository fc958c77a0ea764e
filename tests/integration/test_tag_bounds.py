"""Bounds on tags: of one image by any way, and of the keywords that one file adds."""

import logging
from typing import Any

import pytest
from aiohttp.test_utils import TestClient
from pymongo import MongoClient

from tagify.catalog import Catalog, MarkMissing, UpsertImage
from tagify.errors import TooManyTags
from tagify.model import FileFacts, ImageId, Library, Picture
from tagify.tagnames import MAX_KEYWORDS, MAX_TAGS_PER_IMAGE
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import assert_counts_exact, insert_images, tags_of
from tests.support.ingest_harness import IngestHarness

Client = TestClient[Any, Any]


def names(number: int, prefix: str = "tag") -> list[str]:
    return [f"{prefix} {index}" for index in range(number)]


async def fill(catalog: Catalog, image: ImageId, number: int = MAX_TAGS_PER_IMAGE) -> None:
    await catalog.tags.change([image], names(number), [])


async def test_the_api_refuses_more_tags_than_an_image_may_have(
    client: Client, catalog: Catalog, library: Library
) -> None:
    full, other = await insert_images(catalog, library, 2)
    for first in range(0, MAX_TAGS_PER_IMAGE, 100):
        async with client.post(f"/api/tags/apply/{full}", json=names(first + 100)[first:]) as response:
            assert response.status == 200
    bodies: list[tuple[str, object]] = [
        (f"/api/tags/apply/{full}", ["one more"]),
        ("/api/images/tags", {"ids": [other, full], "add": ["one more"]}),
    ]
    for path, body in bodies:
        async with client.post(path, json=body) as response:
            problem = await response.json(content_type="application/problem+json")
            assert response.status == 422
        assert problem["type"] == "urn:tagify:problem:too-many-tags"
        assert problem["limit"] == MAX_TAGS_PER_IMAGE
        assert str(MAX_TAGS_PER_IMAGE) in problem["detail"]
    assert (len(await tags_of(catalog, full)), await tags_of(catalog, other)) == (MAX_TAGS_PER_IMAGE, ())
    exchange = {"ids": [full], "add": ["new"], "remove": ["tag 0"]}
    async with client.post("/api/images/tags", json=exchange) as response:
        assert response.status == 200
    await assert_counts_exact(catalog)


async def test_a_refused_change_says_what_earlier_batches_changed(catalog: Catalog, library: Library) -> None:
    ids = await insert_images(catalog, library, 501)
    await fill(catalog, ids[-1])
    with pytest.raises(TooManyTags) as caught:
        await catalog.tags.change(ids, ["one more"], [])
    assert (caught.value.extra["changed"], caught.value.extra["limit"]) == (500, MAX_TAGS_PER_IMAGE)
    undone = await catalog.tags.undo(str(caught.value.extra["undo"]))
    assert undone.changed_count == 500
    await assert_counts_exact(catalog)


async def test_an_undo_beyond_the_bound_is_refused_and_can_be_repeated(
    catalog: Catalog, library: Library
) -> None:
    (image,) = await insert_images(catalog, library, 1)
    await fill(catalog, image)
    removal = await catalog.tags.change([image], [], names(100))
    addition = await catalog.tags.change([image], names(100, "new"), [])
    with pytest.raises(TooManyTags):
        await catalog.tags.undo(removal.undo)
    assert len(await tags_of(catalog, image)) == MAX_TAGS_PER_IMAGE
    await catalog.tags.undo(addition.undo)
    await catalog.tags.undo(removal.undo)
    assert set(await tags_of(catalog, image)) == set(names(MAX_TAGS_PER_IMAGE))
    await assert_counts_exact(catalog)


async def test_an_image_of_an_older_catalog_may_lose_tags_but_gain_none(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    (image,) = await insert_images(catalog, library, 1)
    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"]) as mongo:
        mongo[mongo_values["mongo_database"]].images.update_one({}, {"$set": {"tags": names(600)}})
    await catalog.count_verifier.repair(await catalog.count_verifier.verify())
    await catalog.tags.change([image], [], ["tag 0", "tag 1"])
    await catalog.tags.change([image], ["x"], ["tag 2"])
    with pytest.raises(TooManyTags):
        await catalog.tags.change([image], ["y"], [])
    assert len(await tags_of(catalog, image)) == 598
    await assert_counts_exact(catalog)


async def test_keywords_and_tags_together_stay_within_the_bound(
    catalog: Catalog, library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed image is tagged by a user, and decoded later."""
    facts = FileFacts("a.jpg", 1, 1, 1)
    await catalog.images.write([UpsertImage(library.id, facts, error="not an image")])
    (entry,) = (await catalog.images.by_paths(library.id, ["a.jpg"])).values()
    await fill(catalog, entry.id, 400)
    picture = Picture("image/jpeg", 1, 1, b"", keywords=tuple(names(60_000, "secret word")))
    await catalog.images.write([UpsertImage(library.id, facts, None, picture)])
    tags = await tags_of(catalog, entry.id)
    assert len(tags) == MAX_TAGS_PER_IMAGE
    assert set(names(400)) <= set(tags)
    (record,) = [record for record in caplog.records if "tags left out" in record.message]
    assert record.__dict__["fields"] == {"file": "a.jpg", "left_out": 100}
    await assert_counts_exact(catalog)


async def test_kept_tags_are_restored_within_the_bound(
    catalog: Catalog, library: Library, mongo_values: Values
) -> None:
    (image,) = await insert_images(catalog, library, 1)
    stored = await catalog.images.get(image)
    assert stored is not None
    await catalog.images.write([MarkMissing(image, library.id, stored.file.path)])
    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"]) as mongo:
        mongo[mongo_values["mongo_database"]].images.update_one({}, {"$set": {"kept_tags": names(600)}})
    picture = Picture("image/jpeg", 1, 1, b"")
    await catalog.images.write([UpsertImage(library.id, stored.file, stored.content, picture)])
    assert await tags_of(catalog, image) == tuple(names(MAX_TAGS_PER_IMAGE))
    await assert_counts_exact(catalog)


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_a_file_with_60000_keywords_is_listed_with_the_first_200(
    harness: IngestHarness, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    keywords = names(60_000, "w")
    items = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)
    (harness.root / "a.png").write_bytes(pictures.png(64, 48))
    (harness.root / "a.png.xmp").write_text(pictures.XMP.format(items=items))
    (harness.root / "b.jpg").write_bytes(pictures.with_keywords(*names(2000, "w"), seed=2))
    async with harness.running_ingest():
        images = await harness.wait_for_images("a.png", "b.jpg")
    assert list(images["b.jpg"].tags) == names(MAX_KEYWORDS, "w")
    lines = [record for record in caplog.records if "keywords left out" in record.message]
    left_out = {str(line.__dict__["fields"]["file"]): line.__dict__["fields"]["left_out"] for line in lines}
    assert left_out[str(harness.root / "b.jpg")] == 2000 - MAX_KEYWORDS
    assert len(images["a.png"].tags) <= MAX_KEYWORDS
    assert "w 1999" not in caplog.text
    assert "w 59999" not in caplog.text
    await assert_counts_exact(harness.catalog)

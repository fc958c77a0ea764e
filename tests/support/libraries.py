"""Two libraries, and the identities of their images: id and tags."""

from pathlib import Path
from typing import Any

from pymongo import MongoClient

from tagify.model import Library
from tests.support import pictures
from tests.support.ingest_harness import IngestHarness
from tests.support.waiting import until

Identity = dict[str, tuple[str, tuple[str, ...]]]
"""The id and the tags of the image at each path."""


async def second_library(harness: IngestHarness, tmp_path: Path) -> IngestHarness:
    root = tmp_path / "second"
    root.mkdir()
    (root / "resident.jpg").write_bytes(pictures.jpeg(16, 12, seed=1 << 20))
    library = await harness.catalog.libraries.create("Second", str(root))
    return IngestHarness(root, harness.catalog, library, harness.settings)


def identities(harness: IngestHarness, library: Library) -> Identity:
    with MongoClient[dict[str, Any]](harness.settings.mongo_uri.get_secret_value()) as client:
        images = client[harness.settings.mongo_database].images
        fields = {"path": 1, "tags": 1, "library_id": 1}
        return {
            doc["path"]: (str(doc["_id"]), tuple(doc["tags"]))
            for doc in images.find({"state": "ready"}, fields)
            if str(doc["library_id"]) == library.id
        }


async def tag_each(harness: IngestHarness, images: Identity) -> Identity:
    for path, (name, _) in images.items():
        await harness.catalog.tags.change([name], [f"of {path}"], [])  # type: ignore[list-item]
    return {path: (name, (*tags, f"of {path}")) for path, (name, tags) in images.items()}


async def wait_for_identities(harness: IngestHarness, expected: Identity, timeout_s: float = 30) -> None:
    async def probe() -> bool:
        return identities(harness, harness.library) == expected

    await until(probe, timeout_s=timeout_s, every_s=0.1 if len(expected) < 1000 else 1)

"""Stores and lists originals of random bytes as ingest does, and runs an edge in this process."""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from edge.app import build
from tagify.catalog import Catalog, ImageFilter, UpsertImage
from tagify.model import Bucket, Content, FileFacts, Image, Picture
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore

Client = TestClient[Any, Any]
LINGERING_S = 10.0
"""How long aiohttp waits for the rest of an unread request body, in seconds."""

FILE_NAME = 'sea "side" – Küste.jpg'


@dataclass(frozen=True, slots=True)
class ListedOriginal:
    """An image, its bytes and their content hash."""

    image: Image
    data: bytes = field(repr=False)
    content: Content

    @property
    def by_content(self) -> str:
        return f"/media/{self.content}/original"

    @property
    def by_id(self) -> str:
        return f"/api/images/{self.image.id}/file"


async def list_original(
    catalog: Catalog,
    blobs: ObjectStore,
    length: int,
    *,
    mime: str = "image/jpeg",
    catalog_length: int | None = None,
) -> ListedOriginal:
    """Store and list an original of random bytes; `catalog_length` is a wrong length in the catalog."""
    data = Random(length).randbytes(length)
    content = Content(hashlib.sha256(data).hexdigest())
    await blobs.upload(Bucket.ORIGINALS, content, data, mime)
    library = await catalog.libraries.create("Test", f"/srv/test-{length}-{mime}")
    facts = FileFacts(f"sub/{FILE_NAME}", length if catalog_length is None else catalog_length, 1, 1)
    await catalog.images.write([UpsertImage(library.id, facts, content, Picture(mime, 4, 3, b""))])
    (image,) = await catalog.listing.newest(ImageFilter(library_id=library.id), limit=1)
    return ListedOriginal(image, data, content)


@asynccontextmanager
async def running_edge(
    settings: EdgeSettings, *, lingering_time: float = LINGERING_S, **changes: Any
) -> AsyncIterator[Client]:
    """A client of an edge in this process, served as by the runtime; `changes` are settings."""
    server = TestServer(build(settings.model_copy(update=changes)))
    client: Client = TestClient(server)
    await server.start_server(lingering_time=lingering_time)
    try:
        yield client
    finally:
        await client.close()

"""The edge with many clients: one client's cold variants do not refuse or delay another one's."""

import asyncio
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from edge.app import build
from tagify.catalog import Catalog
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image

QUEUE = 7
GREEDY, OTHER = ({"X-Forwarded-For": address} for address in ("198.51.100.1", "198.51.100.2"))


@pytest.mark.parametrize("s3", ["minio"], indirect=True)
async def test_cold_variants_of_one_client_leave_those_of_another_alone(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    images = [
        await insert_stored_image(catalog, blobs, pictures.jpeg(1600, 1200, seed=seed), f"{seed}.jpg")
        for seed in range(3 * QUEUE)
    ]
    settings = EdgeSettings(
        **mongo_values, **s3_values, edge_cache_dir=tmp_path, edge_queue_size=QUEUE, edge_workers=2
    )
    async with TestClient(TestServer(build(settings))) as client:

        async def status(path: str, headers: dict[str, str]) -> int:
            async with client.get(path, headers=headers) as response:
                await response.read()
                return response.status

        greedy = [
            asyncio.create_task(status(f"/media/{image.content}/1600.avif", GREEDY)) for image in images
        ]
        while sum(task.done() for task in greedy) < QUEUE:
            await asyncio.sleep(0.01)
        thumbs = [f"/api/images/{image.id}/thumb" for image in images[:QUEUE]]
        variants = [f"/media/{image.content}/768.webp" for image in images[-2:]]
        async with asyncio.timeout(60):
            others = [await status(path, OTHER) for path in (*thumbs, *variants)]
        assert set(others) == {200}
        assert not all(task.done() for task in greedy), "the greedy client was served first"
        statuses = await asyncio.gather(*greedy)
        assert statuses.count(200) >= QUEUE
        assert 503 in statuses
        # Its capacity is free again.
        assert await status(f"/media/{images[0].content}/320.avif", GREEDY) == 200

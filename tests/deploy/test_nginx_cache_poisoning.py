"""NGINX's cache: no spelling of a URL stores one content's bytes under another content's key."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from edge.app import build
from tagify.catalog import Catalog
from tagify.model import Content, Image
from tagify.settings import EdgeSettings
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support import pictures
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.nginx_site import NginxSite, nginx_site


async def raw_get(site: NginxSite, target: str) -> tuple[int, bytes, bytes]:
    """Status, head and body of a request whose target no client library normalizes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    writer.write(request.encode("latin-1"))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), head, body


def queries(own: str, foreign: str) -> list[str]:
    """Queries that name two contents, or one in another spelling."""
    names = ("%76", "V", "%56", "v%00", "v[]", "v%5B%5D", "v%5b0%5d", "v.", "v%20", "+v", "%20v", "v+")
    pairs = [f"{name}={own}&v={foreign}" for name in names]
    pairs += [f"v={foreign}&{name}={own}" for name in names]
    pairs += [f"V={foreign}&v={own}", f"v={own}&V={foreign}", f"%76={own}&V={foreign}"]
    pairs += [f"v={own}&v={foreign}", f"v={foreign}&v={own}", f"v={foreign};v={own}", f"v={own};v={foreign}"]
    pairs += [f"v={own}&&v={foreign}", f"&v={foreign}&%76={own}", f"a=1&%76={own}&v={foreign}"]
    pairs += [f"%76={own}%26v={foreign}", f"v={foreign}#&%76={own}", f"v={foreign}%23&%76={own}"]
    pairs += [f"v={foreign}&%76={own}&x", f"v=&%76={own}&v={foreign}", f"v&%76={own}&v={foreign}"]
    values = (foreign.upper(), f"{foreign}%00", f"{foreign}%0a", f"{foreign}+", f"+{foreign}", f"{foreign}0")
    pairs += [f"v={value}" for value in values]
    pairs += [f"%76={foreign}", f"V={foreign}", f"v=%{ord(foreign[0]):x}{foreign[1:]}", "v=", "v", ""]
    return pairs


def paths(own: str, foreign: str) -> list[str]:
    """Paths of another content, in spellings that a cache may normalize to the own one."""
    return [
        f"/media/{own}/320.webp/../../{foreign}/320.webp",
        f"/media/{own}/%2e%2e/{foreign}/320.webp",
        f"/media/{own}%2f..%2f{foreign}/320.webp",
        f"//media//{foreign}//320.webp",
        f"/media/./{foreign}/320.webp",
        f"/media/%{ord(foreign[0]):x}{foreign[1:]}/320.webp",
        f"/media/{foreign}/320.webp?%76={own}&v={foreign}",
        f"/media/{foreign}/320%2ewebp",
        f"/media/{foreign}/320.webp%00",
        f"/media/{foreign.upper()}/320.webp",
    ]


@asynccontextmanager
async def edge_behind_nginx(values: Values, folder: Path) -> AsyncIterator[NginxSite]:
    runner = web.AppRunner(build(EdgeSettings(**values, edge_cache_dir=folder / "edge-cache")))
    await runner.setup()
    try:
        await web.UnixSite(runner, str(folder / "edge.sock")).start()
        async with nginx_site(folder) as site:
            yield site
    finally:
        await runner.cleanup()


async def ready_images(catalog: Catalog, blobs: ObjectStore) -> tuple[Image, Image, Content, Content]:
    own = await insert_stored_image(catalog, blobs, pictures.jpeg(400, 300, seed=1), "own.jpg")
    foreign = await insert_stored_image(catalog, blobs, pictures.jpeg(400, 300, seed=2), "foreign.jpg")
    assert own.content is not None
    assert foreign.content is not None
    return own, foreign, own.content, foreign.content


async def test_no_spelling_of_a_thumb_poisons_the_cache(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    own, foreign, own_content, foreign_content = await ready_images(catalog, blobs)
    async with edge_behind_nginx({**mongo_values, **s3_values}, tmp_path) as site:
        expected = {}
        for image in (own, foreign):
            status, _, expected[image.id] = await raw_get(site, f"/api/images/{image.id}/thumb")
            assert status == 200
        assert expected[own.id] != expected[foreign.id]
        for query in queries(own_content, foreign_content):
            for _ in range(2):
                status, head, body = await raw_get(site, f"/api/images/{own.id}/thumb?{query}")
                assert status in (200, 400, 404), query
                assert status != 200 or body == expected[own.id], query
                assert b"X-Cache: HIT" not in head, query
                if f"v={own_content}" != query:
                    assert b"immutable" not in head, query
        for image, content in ((own, own_content), (foreign, foreign_content)):
            for expected_cache in (b"MISS", b"HIT"):
                status, head, body = await raw_get(site, f"/api/images/{image.id}/thumb?v={content}")
                assert (status, body) == (200, expected[image.id])
                assert b"X-Cache: " + expected_cache in head
        # Another image's id with this content: the answer is the cached content, or the id's own thumb.
        for query in queries(own_content, foreign_content):
            _, _, body = await raw_get(site, f"/api/images/{own.id}/thumb?{query}")
            names_foreign = query.partition("#")[0] == f"v={foreign_content}"
            assert names_foreign or body != expected[foreign.id], query


async def test_no_spelling_of_a_media_path_poisons_the_cache(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    _, _, own, foreign = await ready_images(catalog, blobs)
    async with edge_behind_nginx({**mongo_values, **s3_values}, tmp_path) as site:
        for target in paths(own, foreign):
            status, _, _ = await raw_get(site, target)
            assert status in (200, 400, 404), target
        for name in ("320.webp", "original"):
            bodies = [(await raw_get(site, f"/media/{content}/{name}"))[2] for content in (own, foreign)]
            again = [(await raw_get(site, f"/media/{content}/{name}"))[2] for content in (own, foreign)]
            assert bodies == again
            assert bodies[0] != bodies[1]
        thumb, _, direct = await raw_get(site, f"/media/{own}/320.webp")
        assert thumb == 200
        assert re.match(rb"RIFF....WEBP", direct, re.DOTALL)

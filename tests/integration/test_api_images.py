"""The API over HTTP with a real catalog: lists, cursors, single images, tags, events."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from api.app import build
from tagify.catalog import Catalog, ImageFilter, MoveImage, UpsertImage
from tagify.model import Content, FileFacts, ImageId, Library, Picture
from tagify.settings import ApiSettings
from tests.conftest import Values
from tests.support.waiting import until, until_ready

Client = TestClient[Any, Any]
MakeClient = Callable[..., Awaitable[Client]]


@pytest.fixture
async def client(aiohttp_client: MakeClient, mongo_values: Values) -> Client:
    client_ = await aiohttp_client(build(ApiSettings(**mongo_values, media_base_url="http://edge.test")))
    await until_ready(client_)
    return client_


async def fill(catalog: Catalog, library: Library, number: int, *keywords: str, start: int = 0) -> None:
    """Images as ingest writes them."""
    await catalog.images.write(
        [
            UpsertImage(
                library.id,
                FileFacts(f"{name:05}.jpg", 100, name, name + 1),
                Content(hashlib.sha256(f"{library.id}{name}".encode()).hexdigest()),
                Picture("image/jpeg", 600, 400, b"\x01\x02", keywords=keywords),
            )
            for name in range(start, start + number)
        ]
    )


async def get_json(client: Client, path: str, status: int = 200) -> Any:
    async with client.get(path) as response:
        body = await response.json(content_type=None)
        assert response.status == status, body
        return body


async def test_pagination_returns_every_image_once_in_both_directions(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 25)
    page = await get_json(client, "/api/images?limit=10")
    assert page["prev_cursor"] is None
    pages = [page]
    while page["next_cursor"]:
        page = await get_json(client, f"/api/images?limit=10&after={page['next_cursor']}")
        pages.append(page)
    paths = [item["path"] for page in pages for item in page["items"]]
    assert paths == [f"{number:05}.jpg" for number in reversed(range(25))]
    back = await get_json(client, f"/api/images?limit=10&before={pages[-1]['prev_cursor']}")
    assert back["items"] == pages[-2]["items"]


async def test_list_items_have_the_members_that_a_grid_needs(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 1, "Sea")
    page = await get_json(client, "/api/images")
    item = page["items"][0]
    base = f"http://edge.test/media/{item['content']}"
    assert item == {
        "_id": item["_id"],
        "path": "00000.jpg",
        "width": 600,
        "height": 400,
        "placeholder": "AQI=",
        "content": hashlib.sha256(f"{library.id}0".encode()).hexdigest(),
    }
    assert page["media"]["widths"] == [160, 320, 512, 768, 1024, 1600, 2048, 3072]
    details = await get_json(client, f"/api/images/{item['_id']}")
    for name in ("thumb", "original"):
        assert page["media"][name].format(**item) == details[name]
    assert page["media"]["variant"].format(**item, w=320) == f"{base}/320.webp"
    assert details["tags"] == ["Sea"]
    assert details["variants"] == [
        {"width": 160, "url": f"{base}/160.webp"},
        {"width": 320, "url": f"{base}/320.webp"},
        {"width": 512, "url": f"{base}/512.webp"},
        {"width": 600, "url": f"{base}/768.webp"},
    ]
    assert (details["mime"], details["size"], details["error"]) == ("image/jpeg", 100, "")
    # Without a time in the metadata, taken_at is the file's modification time.
    assert details["taken_at"] == "1970-01-01T00:00:00+00:00"
    async with client.get(f"/api/images/{item['_id']}/thumb?v=1", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (
            307,
            f"http://edge.test/api/images/{item['_id']}/thumb?v=1",
        )


async def test_filters_by_tags_by_library_and_without_tags(
    client: Client, catalog: Catalog, library: Library
) -> None:
    other = await catalog.libraries.create("Other", "/srv/other")
    await fill(catalog, library, 2, "sea", "sun")
    await fill(catalog, library, 3, "sea", start=10)
    await fill(catalog, library, 1, start=20)
    await fill(catalog, other, 4, "sun")

    async def number(query: str) -> int:
        return len((await get_json(client, f"/api/images?{query}"))["items"])

    assert await number("tags=sea&tags=sun") == 2
    assert await number("tags=SEA&tags=sun&logic=or") == 9
    assert await number("no_tags=1") == 1
    assert len(await get_json(client, "/api/images?no_tags=1&tags=sea&offset=0")) == 1
    assert await number(f"library_id={other.id}&tags=sun") == 4
    assert await number("tags=unknown") == 0
    assert await number("state=failed") == 0


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "limit=201",
        "logic=xor",
        "library_id=zz",
        "state=odd",
        "no_tags=maybe",
        "after=AAAA",
        "offset=1001",
        "offset=-1",
        "tags=%00",
        "after=a&before=b",
    ],
)
async def test_every_invalid_parameter_gives_a_problem_with_the_reason(client: Client, query: str) -> None:
    problem = await get_json(client, f"/api/images?{query}", 400)
    assert problem["type"] == "urn:tagify:problem:bad-request"
    assert problem["detail"]


async def test_the_deprecated_offset_form_returns_a_bare_array(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 5)
    async with client.get("/api/images?offset=1&limit=2") as response:
        assert response.headers["Deprecation"].startswith("@")
        items, etag = await response.json(), response.headers["ETag"]
    assert [set(item) for item in items] == [{"_id", "path", "width", "height"}] * 2
    assert items[0]["path"] == "00003.jpg"
    async with client.get("/api/images?offset=1&limit=2", headers={"If-None-Match": etag}) as response:
        assert response.status == 304
        assert response.headers["Deprecation"].startswith("@")
    async with client.get("/metrics") as response:
        assert "api_offset_lists_total 2" in await response.text()


async def test_a_folder_filter_returns_only_that_folder_sorted_by_path(
    client: Client, catalog: Catalog, library: Library
) -> None:
    paths = ["b.jpg", "a/2.jpg", "a/1.jpg", "a/b/c.jpg", "a0/x.jpg", "ä/é.jpg", "a/3.jpg", "a.jpg"]
    picture = Picture("image/jpeg", 600, 400, b"")
    await catalog.images.write(
        [
            UpsertImage(
                library.id, FileFacts(path, 1, number, number + 1), Content(f"{number:064x}"), picture
            )
            for number, path in enumerate(paths)
        ]
    )
    for query_part, expected in (
        ("sort=path", sorted(paths)),
        ("path=a", ["a/1.jpg", "a/2.jpg", "a/3.jpg", "a/b/c.jpg"]),
        ("path=%C3%A4/", ["ä/é.jpg"]),
        ("taken_from=1970-01-01&taken_to=1970-01-02", paths[::-1]),
        ("taken_to=1970-01-01", []),
    ):
        query = f"/api/images?library_id={library.id}&{query_part}&limit=2"
        paths_found, cursor = [], ""
        while cursor is not None:
            page = await get_json(client, f"{query}&after={cursor}" if cursor else query)
            paths_found += [item["path"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert paths_found == expected, query_part


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("path=a", "library_id"),
        ("sort=path", "library_id"),
        ("library_id=000000000000000000000000&path=a&sort=newest", "sorted by path"),
        ("taken_from=2024-01-01&sort=newest", "sorted by taken_at"),
        ("library_id=000000000000000000000000&path=a&taken_to=2024-01-01", "exclude each other"),
        ("sort=taken_at&state=failed", "state=ready"),
        ("sort=taken_at&offset=1", "sort=newest"),
        ("sort=size", "newest, taken_at, path"),
        ("no_tags=1&tags=sea", "exclude each other"),
        ("taken_from=yesterday", "2024-07-01"),
        ("library_id=000000000000000000000000&path=../x", "folder"),
    ],
)
async def test_a_filter_and_sort_without_an_index_is_rejected_with_the_reason(
    client: Client, query: str, reason: str
) -> None:
    assert reason in (await get_json(client, f"/api/images?{query}", 400))["detail"]


async def test_unknown_images_routes_and_files_are_404_problems(client: Client) -> None:
    for path in (
        "/api/images/000000000000000000000000",
        "/api/images/nonsense",
        "/api/nothing",
        "/gallery/..%2fapp.py",
    ):
        problem = await get_json(client, path, 404)
        assert problem["type"] == "urn:tagify:problem:not-found"


async def test_tags_are_added_and_removed_idempotently_with_exact_counts(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 1)
    image = (await get_json(client, "/api/images"))["items"][0]["_id"]
    for expected in (["Sea", "sun"], []):
        async with client.post(f"/api/tags/apply/{image}", json=["Sea", " sun "]) as response:
            result = await response.json()
        assert (result["tags"], result["added"]) == (["Sea", "sun"], expected)
    async with client.post(f"/api/tags/remove/{image}", json=["SEA"]) as response:
        assert (await response.json())["tags"] == ["sun"]
    assert await get_json(client, "/api/tags") == [{"_id": "sun", "count": 1}]
    async with client.post(f"/api/tags/apply/{image}", json=["x" * 101]) as response:
        assert response.status == 400
    async with client.post("/api/tags/apply/000000000000000000000000", json=["a"]) as response:
        assert response.status == 404
    json_type = {"Content-Type": "application/json"}
    async with client.post(f"/api/tags/apply/{image}", data=b"{no json", headers=json_type) as response:
        assert response.status == 400


async def test_concurrent_tag_changes_keep_counts_exact(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 12)
    ids = [item["_id"] for item in (await get_json(client, "/api/images"))["items"]]

    async def change_tags(seed: int) -> None:
        for round_ in range(6):
            body = {
                "ids": ids[seed % 4 : seed % 4 + 6],
                "add": [f"t{(seed + round_) % 3}"],
                "remove": [f"t{(seed * round_ + 1) % 3}"],
            }
            async with client.post("/api/images/tags", json=body) as response:
                assert response.status == 200, await response.text()

    await asyncio.gather(*(change_tags(seed) for seed in range(16)))
    recount: dict[str, int] = {}
    for image in await catalog.listing.newest(ImageFilter(), limit=100):
        for tag in image.tags:
            recount[tag] = recount.get(tag, 0) + 1
    stored = {tag["_id"]: tag["count"] for tag in await get_json(client, "/api/tags")}
    assert stored == recount
    in_library = await get_json(client, f"/api/tags?library_id={library.id}")
    assert {tag["_id"]: tag["count"] for tag in in_library} == recount


async def test_image_events_resume_without_a_gap(client: Client, catalog: Catalog, library: Library) -> None:
    first = asyncio.create_task(_read_events(client, 1))
    await until(lambda: _is_connected(client))
    await fill(catalog, library, 1)
    added = (await first)[0]
    assert (added["event"], added["data"]["path"]) == ("image.added", "00000.jpg")
    image = ImageId(added["data"]["_id"])
    await catalog.tags.change([image], ["new"], [])
    await fill(catalog, library, 1, start=7)
    events = await _read_events(client, 2, added["id"])
    changes = [(event["event"], event["data"]["path"]) for event in events]
    assert changes == [("image.changed", "00000.jpg"), ("image.added", "00007.jpg")]


async def test_a_moved_image_gives_image_changed_not_image_added(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 1)
    image = (await get_json(client, "/api/images"))["items"][0]
    listening = asyncio.create_task(_read_events(client, 1))
    await until(lambda: _is_connected(client))
    current = (await catalog.images.by_paths(library.id, [image["path"]]))[image["path"]]
    await catalog.images.write([MoveImage(current, library.id, FileFacts("moved.jpg", 100, 0, 1))])
    event = (await listening)[0]
    assert (event["event"], event["data"]["path"]) == ("image.changed", "moved.jpg")


async def test_an_invalid_last_event_id_gets_reload(client: Client) -> None:
    assert (await _read_events(client, 1, "nonsense"))[0]["event"] == "reload"


async def _is_connected(client: Client) -> bool:
    async with client.get("/metrics") as response:
        return "api_event_clients 1" in await response.text()


async def _read_events(client: Client, number: int, last: str | None = None) -> list[dict[str, Any]]:
    """The first `number` image or reload events of a stream."""
    events: list[dict[str, Any]] = []
    event: dict[str, Any] = {}
    headers = {"Last-Event-ID": last} if last else {}
    async with asyncio.timeout(20), client.get("/api/events", headers=headers) as response:
        async for raw in response.content:
            name, _, value = raw.decode().rstrip("\n").partition(": ")
            if name:
                event[name] = value
                continue
            if event.get("event", "").startswith(("image.", "reload")):
                events.append(event | {"data": json.loads(event["data"])})
            event = {}
            if len(events) == number:
                break
    return events


async def test_the_api_starts_without_mongodb_and_reports_it_quickly(aiohttp_client: MakeClient) -> None:
    values: dict[str, Any] = {
        "mongo_uri": "mongodb://127.0.0.1:1/?directConnection=true",
        "mongo_timeout_s": 0.3,
    }
    client = await aiohttp_client(build(ApiSettings(**values)))
    async with client.get("/api/images") as response:
        assert response.status == 503
        assert int(response.headers["Retry-After"]) > 0
        assert (await response.json(content_type=None))["type"] == "urn:tagify:problem:unavailable"
    async with client.get("/readyz") as response:
        assert response.status == 503
    async with client.get("/livez") as response:
        assert response.status == 200


async def test_the_page_has_a_strict_content_security_policy(client: Client) -> None:
    async with client.get("/") as response:
        assert response.status == 200
        assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        assert "http://edge.test" in response.headers["Content-Security-Policy"]
        etag = response.headers["ETag"]
    async with client.get("/", headers={"If-None-Match": etag}) as response:
        assert response.status == 304


async def test_the_etag_of_a_list_changes_with_the_list(
    client: Client, catalog: Catalog, library: Library
) -> None:
    await fill(catalog, library, 60)
    async with client.get("/api/images", headers={"Accept-Encoding": "br"}) as response:
        assert response.headers["Content-Encoding"] == "br"
        etag, page = response.headers["ETag"], await response.json()
    assert len(json.dumps(page["items"])) / len(page["items"]) < 350
    async with client.get("/api/images", headers={"If-None-Match": etag}) as response:
        assert (response.status, await response.read()) == (304, b"")
    await fill(catalog, library, 1, start=100)
    async with client.get("/api/images", headers={"If-None-Match": etag}) as response:
        assert response.status == 200

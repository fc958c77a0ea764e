"""Requests of other sites: refused at the API and the edge, directly, through nginx and from a browser."""

import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

import api.app
import edge.app
from tagify.catalog import Catalog, ImageFilter, UpsertImage
from tagify.model import Content, FileFacts, Picture
from tagify.settings import ApiSettings, EdgeSettings
from tests.conftest import Values
from tests.support.browser import browser_page
from tests.support.nginx_site import nginx_site

pytestmark = pytest.mark.parametrize("s3", ["minio"], indirect=True)

ALLOWED_ORIGIN = "https://allowed.example"
PROBLEM = "application/problem+json"
MISSING = "0" * 24
ACTIONS: tuple[tuple[str, str, object], ...] = (
    ("POST", "/api/libraries", {"path": "/srv/x"}),
    ("PATCH", f"/api/libraries/{MISSING}", {"name": "x"}),
    ("DELETE", f"/api/libraries/{MISSING}", None),
    ("POST", f"/api/libraries/{MISSING}/rescan", None),
    ("POST", f"/api/libraries/{MISSING}/approve", None),
    ("POST", f"/api/tags/apply/{MISSING}", ["x"]),
    ("POST", f"/api/tags/remove/{MISSING}", ["x"]),
    ("POST", "/api/images/tags", {"ids": [MISSING], "add": ["x"]}),
    ("POST", "/api/tags/undo", {"undo": "x"}),
    ("POST", "/api/tags/rename", {"from": "a", "to": "b"}),
)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The same API and edge, directly and through nginx."""

    session: aiohttp.ClientSession
    api: str
    edge: str
    site: str

    async def status(
        self, base: str, method: str, path: str, headers: Mapping[str, str], body: object
    ) -> int:
        options: dict[str, Any] = {} if body is None else {"json": body}
        async with self.session.request(method, base + path, headers=headers, **options) as response:
            if response.status in (403, 415, 421):
                assert response.content_type == PROBLEM
                assert (await response.json(content_type=None))["detail"]
            return response.status


@asynccontextmanager
async def run_endpoints(
    values: Values, s3_values: Values, folder: Path, proxies: tuple[str, ...] = (), **settings: Any
) -> AsyncIterator[Endpoints]:
    settings = {"cors_origins": (ALLOWED_ORIGIN,), **settings}
    api_app = api.app.build(ApiSettings(**values, **settings, library_roots=(folder,), api_rate=0))
    edge_app = edge.app.build(
        EdgeSettings(**values, **s3_values, **settings, edge_cache_dir=folder / "edge-cache")
    )
    urls = []
    async with AsyncExitStack() as stack:
        for name, app in (("api", api_app), ("edge", edge_app)):
            runner = web.AppRunner(app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.UnixSite(runner, str(folder / f"{name}.sock")).start()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            urls.append(f"http://127.0.0.1:{runner.addresses[-1][1]}")
        site = await stack.enter_async_context(
            nginx_site(folder, nginx_requests_per_s=10_000, nginx_trusted_proxies=proxies, **settings)
        )
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Endpoints(session, urls[0], urls[1], f"http://127.0.0.1:{site.port}")


async def test_every_action_is_refused_to_other_sites_and_open_to_programs(
    catalog: Catalog, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    del catalog
    async with run_endpoints(mongo_values, s3_values, tmp_path) as endpoints:
        for base in (endpoints.api, endpoints.site):
            refused: tuple[dict[str, str], ...] = (
                {"Sec-Fetch-Site": "cross-site"},
                {"Sec-Fetch-Site": "same-site", "Origin": base.replace("127.0.0.1", "localhost")},
                {"Sec-Fetch-Site": "cross-site", "Origin": base},
                {"Sec-Fetch-Site": "same-origin, cross-site"},
                {"Sec-Fetch-Site": ""},
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
                {"Origin": base.replace("127.0.0.1", "localhost")},
                {"Origin": f"{base}0"},
                {"Origin": ALLOWED_ORIGIN.replace("https", "http")},
                {"Origin": "https://evil.example", "X-Requested-With": "fetch"},
            )
            allowed: tuple[dict[str, str], ...] = (
                {},
                {"Sec-Fetch-Site": "same-origin", "Origin": base},
                {"Sec-Fetch-Site": "none"},
                {"Origin": base},
                {"Origin": ALLOWED_ORIGIN},
                {"Sec-Fetch-Site": "cross-site", "Origin": ALLOWED_ORIGIN},
            )
            for (method, path, body), headers in itertools.product(ACTIONS, refused):
                assert await endpoints.status(base, method, path, headers, body) == 403, (path, headers)
            for (method, path, body), headers in itertools.product(ACTIONS, allowed):
                assert await endpoints.status(base, method, path, headers, body) not in (403, 415, 421), (
                    path,
                    headers,
                )


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
        "text/plain, application/json",
        "application/jsonx",
        "application/octet-stream",
    ],
)
async def test_json_without_its_media_type_is_refused(
    catalog: Catalog, mongo_values: Values, s3_values: Values, tmp_path: Path, content_type: str | None
) -> None:
    del catalog
    headers = {} if content_type is None else {"Content-Type": content_type}
    async with run_endpoints(mongo_values, s3_values, tmp_path) as endpoints:
        bodies = [(method, path, orjson.dumps(body)) for method, path, body in ACTIONS if body is not None]
        approve = next(path for _, path, _ in ACTIONS if path.endswith("/approve"))
        for method, path, data in [*bodies, ("POST", approve, b"not json"), ("POST", approve, b"{}")]:
            for base in (endpoints.api, endpoints.site):
                async with endpoints.session.request(
                    method,
                    base + path,
                    data=data,
                    headers=headers,
                    skip_auto_headers=["Content-Type"],
                ) as response:
                    assert response.status == 415, (path, content_type)
                    assert "application/json" in (await response.json(content_type=None))["detail"]
        for spelling in (
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/merge-patch+json",
        ):
            status = await endpoints.status(
                endpoints.api, "POST", "/api/tags/undo", {"Content-Type": spelling}, {"undo": "x"}
            )
            assert status not in (403, 415)


async def test_names_of_other_sites_are_refused(
    catalog: Catalog, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    del catalog
    settings: dict[str, Any] = {"hosts": ("photos.example.org",), "nginx_server_name": "_ .example.net"}
    content = "a" * 64
    paths = {
        "api": ("/", "/api/tags", "/api/nothing", "/api/images", "/docs"),
        "edge": (f"/media/{content}/320.webp", f"/media/{content}/original", f"/api/images/{MISSING}/thumb"),
    }
    foreign = (
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "198.51.100.7",
        "x.localhost.evil",
    )
    own = (
        "localhost",
        "127.0.0.1:1",
        "[::1]",
        "photos.example.org",
        "PHOTOS.example.org:81",
        "a.example.net",
    )
    async with run_endpoints(mongo_values, s3_values, tmp_path, **settings) as endpoints:
        for path in (*paths["api"], *paths["edge"]):
            for base in (endpoints.site, endpoints.edge if path in paths["edge"] else endpoints.api):
                for host in foreign:
                    assert await endpoints.status(base, "GET", path, {"Host": host}, None) == 421, (
                        path,
                        host,
                    )
                for host in own:
                    assert await endpoints.status(base, "GET", path, {"Host": host}, None) != 421, (
                        path,
                        host,
                    )
        for host in foreign:
            assert await endpoints.status(endpoints.api, "GET", "/livez", {"Host": host}, None) == 200
            assert (
                await endpoints.status(endpoints.api, "GET", "/api/tags", {"X-Forwarded-Host": host}, None)
                == 421
            )
            # nginx passes this header on from trusted proxies only.
            assert (
                await endpoints.status(endpoints.site, "GET", "/api/tags", {"X-Forwarded-Host": host}, None)
                == 200
            )


async def test_the_origin_behind_a_trusted_proxy_is_the_forwarded_one(
    catalog: Catalog, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    del catalog
    forwarded = {"X-Forwarded-Host": "photos.example.org", "X-Forwarded-Proto": "https"}
    action = ("POST", "/api/tags/undo")
    for trusted in (True, False):
        proxies = ("127.0.0.1",) if trusted else ()
        folder = tmp_path / str(trusted)
        folder.mkdir()
        hosts = ("photos.example.org",)
        async with run_endpoints(mongo_values, s3_values, folder, proxies, hosts=hosts) as endpoints:
            sender = {"Origin": "https://photos.example.org"}
            status = await endpoints.status(endpoints.site, *action, {**forwarded, **sender}, {"undo": "x"})
            assert (status == 403) is not trusted
            plain = {"Origin": "http://photos.example.org"}
            assert (
                await endpoints.status(endpoints.site, *action, {**forwarded, **plain}, {"undo": "x"}) == 403
            )


async def test_a_page_of_another_origin_changes_nothing(
    catalog: Catalog, mongo_values: Values, s3_values: Values, tmp_path: Path
) -> None:
    library = await catalog.libraries.create("Test", str(tmp_path / "library"))
    picture = Picture("image/jpeg", 4, 3, b"")
    upsert = UpsertImage(library.id, FileFacts("a.jpg", 1, 1, 1), Content("a" * 64), picture)
    await catalog.images.write([upsert])
    image = (await catalog.listing.newest(ImageFilter(library_id=library.id), offset=0, limit=1))[0]
    library = await catalog.libraries.get(library.id) or library

    async def page_of_another_site(_: web.Request) -> web.Response:
        return web.Response(text="<p>another site</p>", content_type="text/html")

    other = web.Application()
    other.router.add_get("/", page_of_another_site)
    runner = web.AppRunner(other)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    script = """async ([base, id, image]) => {
        const send = (path, options) => fetch(base + path, {mode: "no-cors", ...options}).catch(() => null);
        const body = JSON.stringify(["evil"]);
        const apply = `/api/tags/apply/${image}`;
        for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/json"]) {
            await send(apply, {method: "POST", body, headers: {"Content-Type": type}});
            await fetch(base + apply,
                {method: "POST", body, headers: {"Content-Type": type}}).catch(() => null);
        }
        await send(apply, {method: "POST", body: new Blob([body])});
        await send(`/api/libraries/${id}/rescan`, {method: "POST"});
        await send(`/api/libraries/${id}/approve`, {method: "POST"});
        await fetch(`${base}/api/libraries/${id}`, {method: "DELETE"}).catch(() => null);
        navigator.sendBeacon(`${base}/api/libraries/${id}/rescan`);
        const form = document.createElement("form");
        Object.assign(form, {method: "POST", action: `${base}/api/libraries/${id}/rescan`, target: "_blank"});
        document.body.append(form);
        form.submit();
        await new Promise((done) => setTimeout(done, 1000));
    }"""
    try:
        async with run_endpoints(mongo_values, s3_values, tmp_path) as endpoints, browser_page() as (page, _):
            for base in (endpoints.site, endpoints.api, endpoints.site.replace("127.0.0.1", "localhost")):
                await page.goto(origin)
                await page.evaluate(script, [base, library.id, image.id])
                unchanged = await catalog.libraries.get(library.id)
                assert unchanged == library
                assert await catalog.images.get(image.id) == image
            # The page of the site itself may.
            await page.goto(endpoints.site)
            status = await page.evaluate(
                "async (path) => (await fetch(path, {method: 'POST'})).status",
                f"/api/libraries/{library.id}/rescan",
            )
            assert status == 202
    finally:
        await runner.cleanup()

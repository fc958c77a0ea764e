"""Pre-signed URLs: equal to those of the MinIO client, and accepted by both S3 servers."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import minio
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from api.app import build
from api.presigned_urls import PresignedUrls
from tagify.catalog import Catalog, UpsertImage
from tagify.model import Bucket, Content, FileFacts, Picture
from tagify.settings import ApiSettings, CommonSettings
from tagify.storage.presign import UrlSigner
from tagify.storage.store import ObjectStore
from tests.conftest import Values
from tests.support.browser import browser_page
from tests.support.catalog_fixtures import insert_stored_image
from tests.support.pictures import jpeg
from tests.support.waiting import until

IMAGE_BYTES = b"the bytes of a picture"
CONTENT = Content(hashlib.sha256(IMAGE_BYTES).hexdigest())
TEXTS = st.text("abzAZ019/+=_-. ~", min_size=1, max_size=20)


@given(
    key=st.lists(st.text("ab09._-é~", max_size=8).map("k{}".format), min_size=1, max_size=3).map("/".join),
    secret=TEXTS,
    region=st.sampled_from(["us-east-1", "eu-west-3"]),
    at=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC)),
    seconds=st.integers(1, 604_800),
    extra=st.sampled_from([{}, {"response-cache-control": "private, max-age=60"}]),
    method=st.sampled_from(["GET", "HEAD"]),
)
def test_signatures_equal_those_of_the_minio_client(
    key: str,
    secret: str,
    region: str,
    at: datetime,
    seconds: int,
    extra: dict[str, str],
    method: str,
) -> None:
    lifetime = timedelta(seconds=seconds)
    signer = UrlSigner("https://media.example.org:9000", region, "access+key", secret)
    actual = signer.context(at, lifetime, extra, method).sign(f"/bucket/{key}")
    client = minio.Minio("media.example.org:9000", access_key="access+key", secret_key=secret, region=region)
    expected = client.get_presigned_url(
        method, "bucket", key, lifetime, response_headers=dict(extra) or None, request_date=at
    )
    assert URL(actual).path == URL(expected).path
    assert dict(URL(actual).query) == dict(URL(expected).query)


async def test_both_s3_servers_accept_list_urls_and_allow_browser_caching(
    blobs: ObjectStore, s3_values: Values
) -> None:
    await blobs.upload(Bucket.ORIGINALS, CONTENT, IMAGE_BYTES, "image/jpeg")
    urls = PresignedUrls(CommonSettings(**s3_values))
    listed, (single, expires) = (
        urls.list_url(Bucket.ORIGINALS, CONTENT),
        urls.single_url(Bucket.ORIGINALS, CONTENT),
    )
    assert expires > datetime.now(UTC)
    async with aiohttp.ClientSession() as session:
        async with session.get(URL(listed, encoded=True)) as response:
            assert (response.status, await response.read()) == (200, IMAGE_BYTES)
            assert response.headers["Cache-Control"].startswith("private, max-age=")
            assert response.content_type == "image/jpeg"
        async with session.get(URL(single, encoded=True)) as response:
            assert (response.status, await response.read()) == (200, IMAGE_BYTES)
        forged = listed.replace(CONTENT, "0" * 64)
        async with session.get(URL(forged, encoded=True)) as response:
            assert response.status == 403


def test_a_list_url_is_stable_for_six_hours_and_valid_for_at_least_six_more() -> None:
    now = datetime(2026, 3, 1, 5, 59, 59, tzinfo=UTC)
    urls = PresignedUrls(CommonSettings(s3_access_key="key", s3_secret_key="secret"), lambda: now)
    urls_seen = set()
    for _ in range(100):
        url = URL(urls.list_url(Bucket.THUMBS, CONTENT))
        signed = datetime.strptime(url.query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        remaining = signed + timedelta(seconds=int(url.query["X-Amz-Expires"])) - now
        assert timedelta(hours=6) <= remaining <= timedelta(hours=12)
        urls_seen.add(url)
        now += timedelta(minutes=15)
    assert len(urls_seen) == 6


@pytest.fixture
async def listed(catalog: Catalog) -> None:
    library = await catalog.libraries.create("Test", "/srv/test")
    picture = Picture("image/jpeg", 600, 400, b"\x01\x02")
    await catalog.images.write([UpsertImage(library.id, FileFacts("a.jpg", 1, 1, 1), CONTENT, picture)])


async def _get(values: Values, path: str, **settings: Any) -> tuple[Any, str]:
    async with (
        TestClient(TestServer(build(ApiSettings(**values, **settings)))) as client,
        client.get(path) as response,
    ):
        body = await response.json() if response.content_type == "application/json" else None
        return body, response.headers.get("Content-Security-Policy", "")


@pytest.mark.usefixtures("listed")
async def test_lists_have_presigned_urls_of_the_public_host_in_presigned_mode(
    mongo_values: Values,
) -> None:
    public = {
        "media_mode": "presigned",
        "s3_public_endpoint": "https://media.example.org",
        "s3_access_key": "key",
        "s3_secret_key": "secret",
    }
    page, _ = await _get(mongo_values, "/api/images", **public)
    item = page["items"][0]
    for kind, bucket in (("thumb", "tagify-thumbs"), ("original", "tagify-originals")):
        url = URL(item[kind])
        assert (url.host, url.parts[1], url.parts[-1]) == ("media.example.org", bucket, CONTENT)
    details, _ = await _get(mongo_values, f"/api/images/{item['_id']}", **public)
    assert (details["thumb"], details["original"]) == (item["thumb"], item["original"])
    _, policy = await _get(mongo_values, "/", **public)
    assert "img-src 'self' data: blob: https://media.example.org;" in policy
    plain, _ = await _get(mongo_values, "/api/images")
    assert not {"thumb", "original"} & plain["items"][0].keys()


@pytest.mark.usefixtures("listed")
async def test_single_urls_use_the_public_host_in_both_modes(mongo_values: Values) -> None:
    page, _ = await _get(mongo_values, "/api/images")
    path = f"/api/images/{page['items'][0]['_id']}/url?kind=original"
    answer, _ = await _get(mongo_values, path, s3_public_endpoint="https://media.example.org")
    assert answer["url"].startswith("https://media.example.org/tagify-originals/")
    assert datetime.fromisoformat(answer["expires_at"]) > datetime.now(UTC)


async def test_the_entity_tag_of_the_page_covers_its_content_security_policy(mongo_values: Values) -> None:
    """A 304 leaves the old policy in NGINX's cache and in Chromium's."""
    tags = set()
    switches: list[dict[str, Any]] = [
        {},
        {"media_mode": "presigned"},
        {"media_mode": "presigned", "s3_public_endpoint": "https://media.example.org"},
        {"media_base_url": "https://cdn.example.org"},
    ]
    for settings in switches:
        app = build(ApiSettings(**mongo_values, **settings))
        async with TestClient(TestServer(app)) as client, client.get("/") as response:
            etag = response.headers["ETag"]
            async with client.get("/", headers={"If-None-Match": etag}) as repeated:
                assert repeated.status == 304
            tags.add(etag)
    assert len(tags) == 4


async def test_the_page_loads_images_from_the_s3_server(
    catalog: Catalog, blobs: ObjectStore, mongo_values: Values, s3_values: Values
) -> None:
    """In the viewer too: there are no variants, so it shows the original."""
    await insert_stored_image(catalog, blobs, jpeg(1600, 1200))
    settings = ApiSettings(**mongo_values, **s3_values, media_mode="presigned")
    async with TestClient(TestServer(build(settings))) as client, browser_page() as (page, troubles):
        await page.goto(str(client.make_url("/")))
        image = page.locator(".tile img.loaded")
        await image.wait_for()
        assert 0 < await image.evaluate("image => image.naturalWidth") < 1600
        source = await image.get_attribute("src")
        assert source is not None
        assert source.startswith(f"{s3_values['s3_endpoint']}/tagify-thumbs/")
        await page.locator(".tile a").click()
        picture = page.locator("#picture")
        await until(lambda: picture.evaluate("image => image.naturalWidth === 1600"))
        assert troubles == []

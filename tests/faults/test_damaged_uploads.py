"""A body that is damaged on its way to the store: refused there, and sent again."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from random import Random

import pytest
from PIL import Image

from tagify.errors import Unavailable
from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage.store import ObjectStore
from tagify.storage.upload import PART_SIZE
from tests.conftest import Values
from tests.support import pictures
from tests.support.chaos_proxy import ChaosProxy, chaos_proxy
from tests.support.ingest_harness import IngestHarness

LARGE = (32 << 20) + 1
"""Length of an original that is uploaded in parts: the last of its three parts has one byte."""


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tagify.concurrency.retry.LONGEST_WAIT_S", 0.1)


@pytest.fixture
async def proxy(s3_values: Values) -> AsyncIterator[ChaosProxy]:
    async with chaos_proxy(s3_values["s3_endpoint"]) as started:
        yield started


@pytest.fixture
async def proxied_blobs(
    blobs: ObjectStore, s3_values: Values, proxy: ChaosProxy
) -> AsyncIterator[ObjectStore]:
    """The store behind the proxy."""
    opened = ObjectStore(CommonSettings(**{**s3_values, "s3_endpoint": proxy.endpoint}))
    yield opened
    await opened.close()


def content_of(data: bytes) -> Content:
    return Content(hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize("bucket", list(Bucket))
@pytest.mark.parametrize("length", [1, 100_000, 2 << 20])
async def test_the_store_refuses_a_damaged_body(
    proxied_blobs: ObjectStore, proxy: ChaosProxy, bucket: Bucket, length: int
) -> None:
    data = Random(length).randbytes(length)
    proxy.damaged_puts = 1
    with pytest.raises(Unavailable, match="received other bytes than were sent"):
        await proxied_blobs.upload(bucket, content_of(data), data, "image/jpeg")
    assert not await proxied_blobs.exists(bucket, content_of(data))
    await proxied_blobs.upload(bucket, content_of(data), data, "image/jpeg")
    assert (await proxied_blobs.download(bucket, content_of(data))).data == data


@pytest.mark.parametrize("length", [PART_SIZE - 1, LARGE])
async def test_the_store_refuses_a_damaged_part(
    proxied_blobs: ObjectStore, proxy: ChaosProxy, length: int
) -> None:
    data = Random(length).randbytes(length)
    arguments = (Bucket.ORIGINALS, content_of(data))
    proxy.damaged_puts = 1
    with pytest.raises(Unavailable, match="received other bytes than were sent"):
        await proxied_blobs.upload_stream(*arguments, io.BytesIO(data), length, "image/tiff")
    assert not await proxied_blobs.exists(*arguments)
    await proxied_blobs.upload_stream(*arguments, io.BytesIO(data), length, "image/tiff")
    stored = await proxied_blobs.download(*arguments)
    assert (stored.data, stored.mime) == (data, "image/tiff")


async def test_an_import_stores_the_right_bytes_after_damaged_uploads(
    harness: IngestHarness, blobs: ObjectStore, proxy: ChaosProxy, caplog: pytest.LogCaptureFixture
) -> None:
    small = pictures.jpeg(640, 480)
    files = {"small.jpg": small, "large.jpg": small + bytes(LARGE - len(small))}
    for name, data in files.items():
        (harness.root / name).write_bytes(data)
    harness.settings = harness.settings.model_copy(update={"s3_endpoint": proxy.endpoint})
    proxy.damaged_puts = 6
    async with harness.running_ingest():
        images = await harness.wait_for_images(*files)
    assert proxy.damaged_puts == 0
    assert "the S3 server received other bytes than were sent" in caplog.text
    for name, data in files.items():
        content = images[name].content
        assert content == content_of(data)
        original, thumb = await asyncio.gather(*(blobs.download(bucket, content) for bucket in Bucket))
        assert original.data == data
        Image.open(io.BytesIO(thumb.data)).load()

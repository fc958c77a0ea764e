"""Cost of the pre-signed URLs of one list: `python -m bench.suites.presigned_urls`.

Signs thumb and original of 60 images, as `TAGIFY_MEDIA_MODE=presigned` does for each list, and does the same
with the S3 client library. Both interleaved; medians of 50.
"""

import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import minio

from api.presigned_urls import PresignedUrls
from bench.lib.results import recorded
from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage.keys import ObjectKeys

CONTENTS = [Content(f"{number:064x}") for number in range(60)]
ROUNDS = 50


def sign_with_tagify(urls: PresignedUrls) -> None:
    for content in CONTENTS:
        urls.list_url(Bucket.THUMBS, content)
        urls.list_url(Bucket.ORIGINALS, content)


def sign_with_client(client: minio.Minio, objects: ObjectKeys) -> None:
    for content in CONTENTS:
        for bucket in (Bucket.THUMBS, Bucket.ORIGINALS):
            client.get_presigned_url(
                "GET", objects.bucket_names[bucket], objects.object_key(bucket, content), timedelta(hours=12)
            )


def milliseconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def main() -> None:
    settings = CommonSettings(s3_access_key="access", s3_secret_key="secret")
    urls, objects = PresignedUrls(settings), ObjectKeys(settings)
    client = minio.Minio("127.0.0.1:9000", "access", "secret", region="us-east-1")
    with recorded("presigned_urls") as results:
        pairs = [
            (
                milliseconds(lambda: sign_with_tagify(urls)),
                milliseconds(lambda: sign_with_client(client, objects)),
            )
            for _ in range(ROUNDS)
        ]
        tagify_ms, client_ms = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = client_ms / tagify_ms
        results.figures("120 URLs", tagify_ms=tagify_ms, client_ms=client_ms)
        results.ratios("120 URLs", client_to_tagify=ratio)
        print(f"120 URLs: {tagify_ms:.2f} ms; the S3 client library {client_ms:.2f} ms; ratio {ratio:.0f}")


if __name__ == "__main__":
    main()

"""What pre-signed URLs cost a list: `python -m bench.suites.presigned_urls`.

Signs thumb and original of 60 images, as `TAGIFY_MEDIA_MODE=presigned` does for each list, and
does the same with the store's own client. Both sides in turns; medians of 50.
"""

import statistics
import time
from collections.abc import Callable
from datetime import timedelta

import minio

from api.presigned_urls import PresignedUrls
from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage.keys import ObjectKeys

CONTENTS = [Content(f"{number:064x}") for number in range(60)]
ROUNDS = 50


def ours(urls: PresignedUrls) -> None:
    for content in CONTENTS:
        urls.list_url(Bucket.THUMBS, content)
        urls.list_url(Bucket.ORIGINALS, content)


def theirs(client: minio.Minio, objects: ObjectKeys) -> None:
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
    pairs = [
        (milliseconds(lambda: ours(urls)), milliseconds(lambda: theirs(client, objects)))
        for _ in range(ROUNDS)
    ]
    mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
    print(f"120 URLs: {mine:.2f} ms; the store's own client {other:.2f} ms; ratio {other / mine:.0f}")


if __name__ == "__main__":
    main()

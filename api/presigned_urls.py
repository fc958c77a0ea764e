"""Pre-signed URLs of the S3 server for thumbs and originals."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage.keys import ObjectKeys
from tagify.storage.presign import SigningContext, UrlSigner

LIST_WINDOW = timedelta(hours=6)
"""URLs in lists stay the same for this time, so that browsers can use their caches."""

LIST_LIFETIME = 2 * LIST_WINDOW
"""Lifetime of URLs in lists, from the start of their window: a URL is valid for at least six more hours
whenever it is returned."""

SINGLE_LIFETIME = timedelta(hours=1)
"""Lifetime of a URL from `GET /api/images/{id}/url`."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


class PresignedUrls:
    """Signs URLs for the public address of the S3 server, without a request to it."""

    def __init__(self, settings: CommonSettings, now: Callable[[], datetime] = _now) -> None:
        self._keys = ObjectKeys(settings)
        self._now = now
        self.origin = settings.s3_public_endpoint or settings.s3_endpoint
        """Scheme, host and port of the URLs."""
        self._signer = UrlSigner(
            self.origin,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )
        self._window_start = _EPOCH
        self._context: SigningContext | None = None

    def list_url(self, bucket: Bucket, content: Content) -> str:
        """The URL for a list: the same for all calls in a window, cacheable only by the browser."""
        return self._list_context().sign(self._keys.url_path(bucket, content))

    def single_url(self, bucket: Bucket, content: Content) -> tuple[str, datetime]:
        """A URL valid from now on, and its time of expiry."""
        now = self._now().replace(microsecond=0)
        context = self._signer.context(now, SINGLE_LIFETIME)
        return context.sign(self._keys.url_path(bucket, content)), now + SINGLE_LIFETIME

    def _list_context(self) -> SigningContext:
        now = self._now()
        if self._context is None or not self._window_start <= now < self._window_start + LIST_WINDOW:
            self._window_start = now - (now - _EPOCH) % LIST_WINDOW
            age = int(LIST_LIFETIME.total_seconds())
            response_headers = {"response-cache-control": f"private, max-age={age}, immutable"}
            self._context = self._signer.context(self._window_start, LIST_LIFETIME, response_headers)
        return self._context

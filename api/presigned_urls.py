"""Media URLs that lead to the store itself, for browsers and for whoever asks for one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tagify.model import Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage.keys import ObjectKeys
from tagify.storage.presign import Signer, SigningContext

WINDOW = timedelta(hours=6)
"""URLs of lists are the same for so long, so that browsers find in their caches what they have."""

LISTED_LIFETIME = 2 * WINDOW
"""From the beginning of its window: at whatever moment a URL is handed out, it is good for six hours more."""

SINGLE_LIFETIME = timedelta(hours=1)
"""Of a URL that is asked for by itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


class StoreUrls:
    """Signs URLs for the address under which browsers reach the store; asks nobody."""

    def __init__(self, settings: CommonSettings, now: Callable[[], datetime] = _now) -> None:
        self._objects = ObjectKeys(settings)
        self._now = now
        self.origin = settings.s3_public_endpoint or settings.s3_endpoint
        """Where the URLs lead: scheme, host and port."""
        self._signer = Signer(
            self.origin,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )
        self._window = _EPOCH
        self._stamp: SigningContext | None = None

    def listed(self, bucket: Bucket, content: Content) -> str:
        """The URL for a list: the same one for hours, and cacheable by the browser alone."""
        return self._listed_stamp().url(self._objects.path(bucket, content))

    def single(self, bucket: Bucket, content: Content) -> tuple[str, datetime]:
        """A URL that is good from now on, and until when."""
        now = self._now().replace(microsecond=0)
        stamp = self._signer.stamp(now, SINGLE_LIFETIME)
        return stamp.url(self._objects.path(bucket, content)), now + SINGLE_LIFETIME

    def _listed_stamp(self) -> SigningContext:
        now = self._now()
        if self._stamp is None or not self._window <= now < self._window + WINDOW:
            self._window = now - (now - _EPOCH) % WINDOW
            age = int(LISTED_LIFETIME.total_seconds())
            kept = {"response-cache-control": f"private, max-age={age}, immutable"}
            self._stamp = self._signer.stamp(self._window, LISTED_LIFETIME, kept)
        return self._stamp

"""Redirects to presigned URLs of the object store, for hosts whose store browsers can reach."""

from datetime import UTC, datetime, timedelta

from edge.http.headers import IMMUTABLE, safe_content_type
from tagify.model import Bucket, Content, OriginalInfo
from tagify.settings import EdgeSettings
from tagify.storage.keys import ObjectKeys
from tagify.storage.presign import UrlSigner

URL_LIFETIME = timedelta(hours=1)

REDIRECT_MAX_AGE_S = 600
"""How long a browser may reuse a redirect, in seconds: well within the lifetime of its URL."""


class PresignedRedirect:
    """Signs URLs for the public address of the object store. Makes no request."""

    def __init__(self, settings: EdgeSettings) -> None:
        self.enabled = settings.media_mode == "presigned"
        """Whether browsers are redirected to the object store."""
        self._keys = ObjectKeys(settings)
        self._signer = UrlSigner(
            settings.s3_public_endpoint or settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )

    def url(self, content: Content, original: OriginalInfo, disposition: str = "") -> str:
        """The URL of an original; the store will send this disposition, and a type no browser executes."""
        overrides = {"response-content-disposition": disposition} if disposition else {}
        overrides["response-content-type"] = safe_content_type(original.mime)
        context = self._signer.context(datetime.now(UTC), URL_LIFETIME, overrides)
        return context.sign(self._keys.url_path(Bucket.ORIGINALS, content))


def redirect_cache_control(cache_control: str) -> str:
    """Cache-Control of a redirect to an original with this Cache-Control."""
    return f"private, max-age={REDIRECT_MAX_AGE_S}" if cache_control == IMMUTABLE else "no-store"

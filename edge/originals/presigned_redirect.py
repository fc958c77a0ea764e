"""URLs of the store itself for originals, for hosts whose store browsers can reach."""

from datetime import UTC, datetime, timedelta

from edge.http.headers import safe_content_type
from tagify.model import Bucket, Content, OriginalInfo
from tagify.settings import EdgeSettings
from tagify.storage.keys import ObjectKeys
from tagify.storage.presign import UrlSigner

URL_LIFETIME = timedelta(hours=1)

REDIRECT_MAX_AGE_S = 600
"""How long a browser may follow the same redirect without asking, in seconds: well within the lifetime."""


class PresignedRedirect:
    """Signs URLs for the address under which browsers reach the store; asks nobody."""

    def __init__(self, settings: EdgeSettings) -> None:
        self.enabled = settings.media_mode == "presigned"
        """Whether browsers are to be sent to the store."""
        self._keys = ObjectKeys(settings)
        self._signer = UrlSigner(
            settings.s3_public_endpoint or settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )

    def url(self, content: Content, original: OriginalInfo, disposition: str = "") -> str:
        """Where the original is, under a type in which no browser runs anything, and under its name."""
        overrides = {"response-content-disposition": disposition} if disposition else {}
        overrides["response-content-type"] = safe_content_type(original.mime)
        context = self._signer.context(datetime.now(UTC), URL_LIFETIME, overrides)
        return context.sign(self._keys.url_path(Bucket.ORIGINALS, content))

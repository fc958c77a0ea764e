"""URLs of the store itself for originals, for hosts whose store browsers can reach."""

from datetime import UTC, datetime, timedelta

from edge.http.headers import passive
from tagify.model import Bucket, Content, OriginalInfo
from tagify.settings import EdgeSettings
from tagify.storage.keys import ObjectKeys
from tagify.storage.presign import Signer

LIFETIME = timedelta(hours=1)

KEPT_S = 600
"""How long a browser may follow the same redirect without asking, in seconds: well within the lifetime."""


class Redirects:
    """Signs URLs for the address under which browsers reach the store; asks nobody."""

    def __init__(self, settings: EdgeSettings) -> None:
        self.wanted = settings.media_mode == "presigned"
        """Whether browsers are to be sent to the store."""
        self._objects = ObjectKeys(settings)
        self._signer = Signer(
            settings.s3_public_endpoint or settings.s3_endpoint,
            settings.s3_region,
            settings.s3_access_key.get_secret_value(),
            settings.s3_secret_key.get_secret_value(),
        )

    def url(self, content: Content, original: OriginalInfo, disposition: str = "") -> str:
        """Where the original is, under a type in which no browser runs anything, and under its name."""
        said = {"response-content-disposition": disposition} if disposition else {}
        said["response-content-type"] = passive(original.mime)
        stamp = self._signer.stamp(datetime.now(UTC), LIFETIME, said)
        return stamp.url(self._objects.path(Bucket.ORIGINALS, content))

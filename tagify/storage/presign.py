"""Pre-signed URLs (AWS Signature Version 4): a list response holds hundreds of them.

The minio client takes 70 us for each, most of it for parts that all URLs of a list share: the signing key
of the day, the query, the scope. Here those are computed once per SigningContext.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote, urlsplit

_ALGORITHM = "AWS4-HMAC-SHA256"
_LONGEST_LIFETIME = timedelta(days=7)
"""Upper bound of Signature Version 4."""


@dataclass(frozen=True, slots=True)
class UrlSigner:
    """Signs URLs of the store at `endpoint` (scheme, host and port)."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str

    def context(
        self, at: datetime, lifetime: timedelta, extra: Mapping[str, str] | None = None, method: str = "GET"
    ) -> "SigningContext":
        """The context for all URLs that are signed at this time and valid for `lifetime`.

        `extra`: further query parameters, whose names must sort after `X-Amz`. Raises ValueError if the
        lifetime is not between a second and seven days.
        """
        if not timedelta(seconds=1) <= lifetime <= _LONGEST_LIFETIME:
            raise ValueError("the lifetime of a URL must be between one second and seven days")
        timestamp = at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{timestamp[:8]}/{self.region}/s3/aws4_request"
        query = {
            "X-Amz-Algorithm": _ALGORITHM,
            "X-Amz-Credential": f"{self.access_key}/{scope}",
            "X-Amz-Date": timestamp,
            "X-Amz-Expires": str(int(lifetime.total_seconds())),
            "X-Amz-SignedHeaders": "host",
            **(extra or {}),
        }
        query_string = "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in query.items())
        host = urlsplit(self.endpoint).netloc
        return SigningContext(
            endpoint=self.endpoint,
            query=query_string if self.access_key else "",
            key=_signing_key(self.secret_key, timestamp[:8], self.region),
            request_prefix=f"{method}\n",
            request_suffix=f"\n{query_string}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD",
            string_to_sign_prefix=f"{_ALGORITHM}\n{timestamp}\n{scope}\n",
        )


@dataclass(frozen=True, slots=True)
class SigningContext:
    """The parts of a signature that do not depend on the path."""

    endpoint: str
    query: str
    key: bytes
    request_prefix: str
    request_suffix: str
    string_to_sign_prefix: str

    def sign(self, path: str) -> str:
        """The signed URL for this path, which starts with a slash; unsigned if there is no access key."""
        path = quote(path, safe="/-_.~")
        if not self.query:
            return f"{self.endpoint}{path}"
        request = hashlib.sha256(f"{self.request_prefix}{path}{self.request_suffix}".encode()).hexdigest()
        signature = hmac.digest(self.key, f"{self.string_to_sign_prefix}{request}".encode(), "sha256").hex()
        return f"{self.endpoint}{path}?{self.query}&X-Amz-Signature={signature}"


@lru_cache(maxsize=8)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key

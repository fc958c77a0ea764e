"""Errors shared by all packages. Those shown to clients are Problems (RFC 9457)."""


class TagifyError(Exception):
    """Base class of all errors of this project."""


class SettingsError(TagifyError):
    """The settings are invalid; the message has one line per mistake."""


class Undecodable(TagifyError):
    """The original cannot be decoded. The message is one sentence for users."""


class Problem(TagifyError):
    """An error that is returned to the client: a status, a stable type and a sentence for users.

    `slug` never changes once released: clients match on it. `detail` is shown to the client,
    so it contains no secret, no path outside a library and no stack trace.
    """

    status: int = 500
    slug: str = "internal"
    title: str = "Internal error"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = None, **extra: object) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.extra = extra

    @property
    def type(self) -> str:
        """The URI of the problem type, stable across releases."""
        return f"urn:tagify:problem:{self.slug}"

    def body(self) -> dict[str, object]:
        """The members of the `application/problem+json` body."""
        body: dict[str, object] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        return body | self.extra


class BadRequest(Problem):
    """A parameter, cursor or body of the request is invalid."""

    status, slug, title = 400, "bad-request", "Bad request"


class CrossSiteRequest(Problem):
    """A page of another site sent a request that changes something (CSRF)."""

    status, slug, title = 403, "cross-site-request", "Request of another site"


class NotFound(Problem):
    """The image, library, content or route does not exist."""

    status, slug, title = 404, "not-found", "Not found"


class Conflict(Problem):
    """The request is valid but conflicts with stored data."""

    status, slug, title = 409, "conflict", "Conflict"


class NothingToApprove(Conflict):
    """The library has no deletion and no root folder that waits for approval."""

    slug, title = "nothing-to-approve", "Nothing to approve"


class ApprovalOutdated(Conflict):
    """Something else is pending than the approval names."""

    slug, title = "approval-outdated", "The approval names an outdated state"


class LibraryMoved(Conflict):
    """The folder is the root of a library that was at another path: move that library."""

    slug, title = "library-moved", "The folder is a library that has moved"


class RequestTimeout(Problem):
    """The request body did not arrive in time."""

    status, slug, title = 408, "request-timeout", "Request timeout"


class TooLarge(Problem):
    """The request body exceeds the size limit."""

    status, slug, title = 413, "too-large", "Too large"


class UrlTooLong(Problem):
    """The URL exceeds the length limit."""

    status, slug, title = 414, "url-too-long", "URL too long"


class UnsupportedMediaType(Problem):
    """The request body is not declared as JSON."""

    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"


class UnknownHost(Problem):
    """The request's Host header names another site (DNS rebinding)."""

    status, slug, title = 421, "unknown-host", "Unknown host"


class TooManyRequests(Problem):
    """The client exceeds its rate limit."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class PreconditionFailed(Problem):
    """A precondition of the request (`If-Match`, `If-Unmodified-Since`) does not hold."""

    status, slug, title = 412, "precondition-failed", "Precondition failed"


class RangeNotSatisfiable(Problem):
    """No requested byte range overlaps the content."""

    status, slug, title = 416, "range-not-satisfiable", "Range not satisfiable"


class Unprocessable(Problem):
    """The original cannot be converted to the requested variant."""

    status, slug, title = 422, "unprocessable", "Cannot be processed"


class TooManyTags(Problem):
    """A change would give an image more tags than it may have; nothing of its batch was written."""

    status, slug, title = 422, "too-many-tags", "Too many tags"


class Busy(Problem):
    """A queue is full; the client should retry after a moment (back-pressure)."""

    status, slug, title = 503, "busy", "Too busy"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = 1, **extra: object) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **extra)


class Unavailable(Problem):
    """MongoDB or the S3 server does not answer in time."""

    status, slug, title = 503, "unavailable", "A dependency is down"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = 2, **extra: object) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **extra)

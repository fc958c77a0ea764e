"""The errors that cross a room's border. Those a client may see are Problems (RFC 9457)."""


class TagifyError(Exception):
    """The base of all errors that this project raises on purpose."""


class SettingsError(TagifyError):
    """The environment does not make sense; one line for each mistake."""


class Undecodable(TagifyError):
    """The original is no picture that we can show. The text is one sentence for people."""


class Problem(TagifyError):
    """An error with a public answer: a status, a stable type and a sentence for people.

    `slug` never changes once released: clients match on it. `detail` is shown to the client,
    so it holds no secret, no path outside a library and no trace.
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
        """The problem's URI, stable across releases."""
        return f"urn:tagify:problem:{self.slug}"

    def body(self) -> dict[str, object]:
        """The members of the `application/problem+json` answer."""
        body: dict[str, object] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        return body | self.extra


class BadRequest(Problem):
    """The request cannot be understood: a parameter, a cursor or a body is wrong."""

    status, slug, title = 400, "bad-request", "Bad request"


class NotFound(Problem):
    """No such image, library, content or route."""

    status, slug, title = 404, "not-found", "Not found"


class Conflict(Problem):
    """The request is sound but does not fit what is stored."""

    status, slug, title = 409, "conflict", "Conflict"


class RequestTimeout(Problem):
    """The body of the request did not come in time."""

    status, slug, title = 408, "request-timeout", "Request timeout"


class TooLarge(Problem):
    """The body of the request is larger than any that makes sense."""

    status, slug, title = 413, "too-large", "Too large"


class UrlTooLong(Problem):
    """The URL is longer than any that makes sense."""

    status, slug, title = 414, "url-too-long", "URL too long"


class TooManyRequests(Problem):
    """This client asks more often than it may."""

    status, slug, title = 429, "too-many-requests", "Too many requests"


class PreconditionFailed(Problem):
    """The client asks for another representation than there is now."""

    status, slug, title = 412, "precondition-failed", "Precondition failed"


class RangeNotSatisfiable(Problem):
    """None of the bytes that the client asks for are there."""

    status, slug, title = 416, "range-not-satisfiable", "Range not satisfiable"


class Unprocessable(Problem):
    """The original cannot be made into what was asked for."""

    status, slug, title = 422, "unprocessable", "Cannot be processed"


class Busy(Problem):
    """A queue is full: the same request will succeed a little later."""

    status, slug, title = 503, "busy", "Too busy"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = 1, **extra: object) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **extra)


class Unavailable(Problem):
    """MongoDB or the S3 server does not answer, or not in time."""

    status, slug, title = 503, "unavailable", "A server behind this one is away"

    def __init__(self, detail: str = "", *, retry_after_s: int | None = 2, **extra: object) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **extra)

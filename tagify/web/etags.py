"""Conditional requests: `If-None-Match`."""

from aiohttp import web


def etag_matches(request: web.Request, etag: str) -> bool:
    """Whether `If-None-Match` contains this entity tag (given without quotes) or `*`.

    Uses weak comparison, as RFC 9110 requires: NGINX makes a tag weak when it compresses.
    """
    return any(tag.value in (etag, "*") for tag in request.if_none_match or ())

"""What a client says it has already."""

from aiohttp import web


def is_known(request: web.Request, etag: str) -> bool:
    """Whether `If-None-Match` names this tag (given without quotes).

    Compared weakly, as RFC 9110 asks here: NGINX makes a tag weak when it compresses.
    """
    return any(tag.value in (etag, "*") for tag in request.if_none_match or ())

"""Answers that a client may have already: entity tags, and 304 for who names the one it has."""

import hashlib

from aiohttp import hdrs, web


def with_etag(request: web.Request, response: web.Response) -> web.Response:
    """The answer with an entity tag made of its body; without the body where the client has it."""
    body = response.body if isinstance(response.body, bytes) else b""
    etag = hashlib.blake2b(body, digest_size=12).hexdigest()
    response.headers[hdrs.ETAG] = f'"{etag}"'
    if not is_known(request, etag):
        return response
    kept = {hdrs.ETAG: f'"{etag}"', hdrs.CACHE_CONTROL: response.headers.get(hdrs.CACHE_CONTROL, "no-cache")}
    return web.Response(status=304, headers=kept)


def is_known(request: web.Request, etag: str) -> bool:
    """Whether `If-None-Match` names this tag (given without quotes).

    Compared weakly, as RFC 9110 asks here: NGINX makes a tag weak when it compresses.
    """
    return any(tag.value in (etag, "*") for tag in request.if_none_match or ())

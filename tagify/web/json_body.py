"""JSON bodies shared by many responses: serialised, tagged and compressed once."""

import hashlib

import orjson
from aiohttp import hdrs, web

from tagify.web.compression import ENCODERS, MIN_COMPRESSED_BYTES, negotiate_encoding
from tagify.web.etags import etag_matches
from tagify.web.field_lines import joined_lines


class JsonBody:
    """A serialised body, its entity tag, and its compressed forms, made on first use."""

    def __init__(self, data: object) -> None:
        self._raw = orjson.dumps(data)
        self._etag = hashlib.blake2b(self._raw, digest_size=12).hexdigest()
        self._compressed: dict[str, bytes] = {}

    def to_response(self, request: web.Request) -> web.Response:
        """304 when `If-None-Match` matches, else 200 with the body in the negotiated encoding."""
        # Weak: the tag is the same for every encoding.
        headers = {
            hdrs.ETAG: f'W/"{self._etag}"',
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
        }
        if etag_matches(request, self._etag):
            return web.Response(status=304, headers=headers)
        encoding = (
            negotiate_encoding(joined_lines(request.headers, hdrs.ACCEPT_ENCODING))
            if len(self._raw) >= MIN_COMPRESSED_BYTES
            else None
        )
        if encoding is not None:
            headers[hdrs.CONTENT_ENCODING] = encoding
        return web.Response(
            body=self._encoded_body(encoding), headers=headers, content_type="application/json"
        )

    def _encoded_body(self, encoding: str | None) -> bytes:
        if encoding is None:
            return self._raw
        if encoding not in self._compressed:
            self._compressed[encoding] = ENCODERS[encoding](self._raw)
        return self._compressed[encoding]

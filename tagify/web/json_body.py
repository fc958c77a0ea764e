"""Answers in JSON that are made once for all who are given them: serialised, tagged, compressed."""

import hashlib

import orjson
from aiohttp import hdrs, web

from tagify.web.compression import CODERS, LEAST, chosen
from tagify.web.etags import is_known


class JsonBody:
    """A body, its entity tag, and its compressed forms as they are first asked for."""

    def __init__(self, data: object) -> None:
        self._raw = orjson.dumps(data)
        self._etag = hashlib.blake2b(self._raw, digest_size=12).hexdigest()
        self._packed: dict[str, bytes] = {}

    def answer(self, request: web.Request) -> web.Response:
        """The answer to a client: 304 where it has this body, else the body as it takes it best."""
        # Weak: the same tag whatever the compression.
        headers = {
            hdrs.ETAG: f'W/"{self._etag}"',
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
        }
        if is_known(request, self._etag):
            return web.Response(status=304, headers=headers)
        coder = chosen(request.headers.get(hdrs.ACCEPT_ENCODING, "")) if len(self._raw) >= LEAST else None
        if coder is not None:
            headers[hdrs.CONTENT_ENCODING] = coder
        return web.Response(body=self._body(coder), headers=headers, content_type="application/json")

    def _body(self, coder: str | None) -> bytes:
        if coder is None:
            return self._raw
        if coder not in self._packed:
            self._packed[coder] = CODERS[coder](self._raw)
        return self._packed[coder]

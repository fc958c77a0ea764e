"""Compression of response bodies: content negotiation by `Accept-Encoding`.

Lists are half hex digits and base64, which no encoder packs below a third: the lowest level of each
encoder comes within a few percent of its best, in a fifth of the time.
"""

import functools
import zlib
from collections.abc import Callable

import brotli
from backports import zstd

MIN_COMPRESSED_BYTES = 1400
"""Bodies with fewer bytes are not compressed: they fit into one packet either way."""

_MAX_ACCEPT_ENCODING = 200
"""Characters of an `Accept-Encoding` header that are parsed; a browser's has 30."""

_GZIP_WBITS = 31
"""zlib's `wbits` for the gzip format with the largest window."""

ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, level=1),
    "br": lambda body: brotli.compress(body, quality=1),
    "gzip": lambda body: zlib.compress(body, 1, _GZIP_WBITS),
}
"""Encoders by content coding, in order of preference: best ratio for its time first."""


@functools.lru_cache(maxsize=256)
def negotiate_encoding(accept_encoding: str) -> str | None:
    """The content coding for an `Accept-Encoding` header; None for no compression.

    The client's weights decide first, then our order of preference.
    """
    weights = dict(_parse_weight(part) for part in accept_encoding[:_MAX_ACCEPT_ENCODING].lower().split(","))
    supported = {name: weights.get(name, weights.get("*", 0.0)) for name in ENCODERS}
    best = max(supported, key=lambda name: supported[name])
    return best if supported[best] > weights.get("identity", 0.0) or supported[best] == 1 else None


def _parse_weight(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    _, _, weight = parameter.partition("q=")
    try:
        return name.strip(), float(weight) if weight.strip() else 1.0
    except ValueError:
        return name.strip(), 0.0

"""Compression of answers, by what the client takes and where it pays.

Lists are half hex digits and base64, which no effort packs below a third: the least effort of each
coder comes within a few percent of its best, for a fifth of the time.
"""

import functools
import zlib
from collections.abc import Callable

import brotli
from backports import zstd

LEAST = 1400
"""Bytes below which nothing is compressed: they are one packet either way."""

_LONGEST = 200
"""Characters of an `Accept-Encoding` that are read; a browser's has 30."""

_GZIP = 31
"""What zlib calls the gzip format with its largest window."""

CODERS: dict[str, Callable[[bytes], bytes]] = {
    "zstd": lambda body: zstd.compress(body, level=1),
    "br": lambda body: brotli.compress(body, quality=1),
    "gzip": lambda body: zlib.compress(body, 1, _GZIP),
}
"""By their names in HTTP, the one that is best for its time first."""


@functools.lru_cache(maxsize=256)
def chosen(accepted: str) -> str | None:
    """The coder for an `Accept-Encoding`: what the client likes best, then what we do; None for none."""
    weights = dict(_weight(part) for part in accepted[:_LONGEST].lower().split(","))
    liked = {name: weights.get(name, weights.get("*", 0.0)) for name in CODERS}
    best = max(liked, key=lambda name: liked[name])
    return best if liked[best] > weights.get("identity", 0.0) or liked[best] == 1 else None


def _weight(part: str) -> tuple[str, float]:
    name, _, parameter = part.partition(";")
    _, _, weight = parameter.partition("q=")
    try:
        return name.strip(), float(weight) if weight.strip() else 1.0
    except ValueError:
        return name.strip(), 0.0

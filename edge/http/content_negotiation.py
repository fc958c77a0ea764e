"""Which format a client gets where the URL names none (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from functools import lru_cache

from tagify.model import VARIANT_MIMES

FALLBACK = "jpg"
"""What every client can draw."""


@lru_cache(maxsize=512)
def choose_format(accept: str, offered: Sequence[str]) -> str:
    """The ending for this Accept header: the first of those offered that it names, else the fallback.

    A wildcard is no promise: clients that know no new format send `*/*` too. Whatever the
    header says there are as many answers as formats, so a cache in front holds no more.
    """
    accepted = {mime for mime, quality in map(_parse_media_range, accept.lower().split(",")) if quality > 0}
    return next((extension for extension in offered if VARIANT_MIMES[extension] in accepted), FALLBACK)


def expects_image(accept: str, destination: str) -> bool:
    """Whether an answer is for an `<img>`, which draws a picture and can show nothing else.

    Browsers of today say so by Sec-Fetch-Dest; others accept images by name, and no JSON.
    """
    if destination:
        return destination == "image"
    accept = accept.lower()
    return "image/" in accept and "json" not in accept and "html" not in accept


def _parse_media_range(part: str) -> tuple[str, float]:
    mime, *parameters = (piece.strip() for piece in part.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return mime, float(value)
            except ValueError:
                return mime, 0.0
    return mime, 1.0

"""Content negotiation by the Accept header, for URLs that name no format (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence
from functools import lru_cache

from tagify.model import VARIANT_MIMES

FALLBACK = "jpg"
"""The format that every client displays."""


@lru_cache(maxsize=512)
def choose_format(accept: str, offered: Sequence[str]) -> str:
    """The first offered format that the Accept header names, else FALLBACK.

    A wildcard is ignored: clients without support for new formats send `*/*` too. There are as many
    results as formats, so a cache in front stores no more than that, whatever the headers.
    """
    accepted = {mime for mime, quality in map(_parse_media_range, accept.lower().split(",")) if quality > 0}
    return next((extension for extension in offered if VARIANT_MIMES[extension] in accepted), FALLBACK)


def expects_image(accept: str, destination: str) -> bool:
    """Whether the request comes from an `<img>`, which displays nothing but an image.

    `destination` is the Sec-Fetch-Dest header of current browsers; without it the Accept header must
    name images, and neither JSON nor HTML.
    """
    if destination:
        return destination == "image"
    accept = accept.lower()
    return "image/" in accept and "json" not in accept and "html" not in accept


def _parse_media_range(text: str) -> tuple[str, float]:
    """Media type and quality; quality 0 where it is malformed."""
    mime, *parameters = (part.strip() for part in text.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return mime, float(value)
            except ValueError:
                return mime, 0.0
    return mime, 1.0

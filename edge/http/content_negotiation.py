"""Content negotiation by the Accept header, for URLs that name no format (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Sequence
from functools import lru_cache

from tagify.model import VARIANT_MIMES
from tagify.web.accept import accepts_pattern

FALLBACK = "jpg"
"""The format that every client displays."""


_PATTERNS = {
    extension: re.compile(accepts_pattern(mime), re.ASCII | re.IGNORECASE)
    for extension, mime in VARIANT_MIMES.items()
}


@lru_cache(maxsize=512)
def choose_format(accept: str, offered: Sequence[str]) -> str:
    """The first offered format that the Accept header names, else FALLBACK.

    A wildcard is ignored: clients without support for new formats send `*/*` too. There are as many
    results as formats, so a cache in front stores no more than that, whatever the headers.
    """
    return next((extension for extension in offered if _PATTERNS[extension].search(accept)), FALLBACK)


def expects_image(accept: str, destination: str) -> bool:
    """Whether the request comes from an `<img>`, which displays nothing but an image.

    `destination` is the Sec-Fetch-Dest header of current browsers; without it the Accept header must
    name images, and neither JSON nor HTML.
    """
    if destination:
        return destination == "image"
    accept = accept.lower()
    return "image/" in accept and "json" not in accept and "html" not in accept

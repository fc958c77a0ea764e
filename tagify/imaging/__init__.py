"""Decoding and making pictures. The only room that knows Pillow.

All functions are synchronous and take CPU: callers run them in threads. What cannot be
decoded raises Undecodable, whose text is for people; a disk that fails raises OSError.
"""

from tagify.imaging.decode import FORMATS, Source
from tagify.imaging.memory_estimate import decode_bytes
from tagify.imaging.metadata import sidecar_keywords
from tagify.imaging.thumbnail import Derived, derive
from tagify.imaging.variant import make_variant, natural_width

__all__ = [
    "FORMATS",
    "Derived",
    "Source",
    "decode_bytes",
    "derive",
    "make_variant",
    "natural_width",
    "sidecar_keywords",
]

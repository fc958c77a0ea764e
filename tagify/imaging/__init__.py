"""Decoding and making pictures. The only room that knows Pillow.

All functions are synchronous and take CPU: callers run them in threads. What cannot be
decoded raises Undecodable, whose text is for people; a disk that fails raises OSError.
"""

from tagify.imaging.decode import FORMATS, ImageSource
from tagify.imaging.memory_estimate import estimate_decode_bytes
from tagify.imaging.metadata import sidecar_keywords
from tagify.imaging.thumbnail import DecodedOriginal, decode_original
from tagify.imaging.variant import natural_width, render_variant

__all__ = [
    "FORMATS",
    "DecodedOriginal",
    "ImageSource",
    "decode_original",
    "estimate_decode_bytes",
    "natural_width",
    "render_variant",
    "sidecar_keywords",
]

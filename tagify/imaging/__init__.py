"""Decoding and encoding of images. The only package that imports Pillow.

All functions block and use the CPU: callers run them in threads or in the sandbox. An image that cannot be
decoded raises Undecodable with a text for people; a file that cannot be read raises OSError.
"""

from tagify.imaging.decode import FORMATS, ImageSource
from tagify.imaging.memory_estimate import estimate_decode_bytes
from tagify.imaging.metadata import sidecar_keywords
from tagify.imaging.thumbnail import decode_original
from tagify.imaging.variant import natural_width, render_variant

__all__ = [
    "FORMATS",
    "ImageSource",
    "decode_original",
    "estimate_decode_bytes",
    "natural_width",
    "render_variant",
    "sidecar_keywords",
]

"""Variants of an image for the edge: other widths and formats."""

import io
from typing import Any

from PIL import Image

from tagify.imaging.decode import ImageSource, open_image
from tagify.imaging.graphics import Fidelity, fidelity
from tagify.imaging.transform import fit, flatten_on_white

QUALITIES = {
    "image/jpeg": {320: 84, 1024: 82, 8192: 78},
    "image/webp": {320: 82, 1024: 80, 8192: 76},
    "image/avif": {320: 64, 1024: 60, 8192: 55},
}
"""Encoder quality by format and by the width up to which it applies. Small images are seen pixel by pixel and
take few bytes; large ones are mostly displayed reduced."""

_EXACT_QUALITY, _GRAPHIC_QUALITY = 98, 85
"""Of JPEG and AVIF for pictures that have to be exact, and for graphics."""
_LOSSLESS_EFFORT = 40
"""Of lossless WebP, 0 to 100."""

MAX_HEIGHT = 16_383
"""Maximum height of a variant, in pixels: the limit of WebP."""


def render_variant(source: ImageSource, *, width: int | None, mime: str, max_pixels: int) -> bytes:
    """The image upright, at most `width` pixels wide (None: its own width), in sRGB, without metadata.

    It is never enlarged. An animation is reduced to its first frame, and in a JPEG transparency becomes
    white. Raises Undecodable; OSError if the file cannot be read; ValueError for another format.
    """
    with open_image(source, max_pixels) as opened:
        natural = opened.displayed_size[0]
        pixels = fit(opened, (min(width or natural, natural), MAX_HEIGHT))
        out = io.BytesIO()
        _save(pixels, out, mime)
    return out.getvalue()


def natural_width(source: ImageSource) -> int:
    """The displayed width of a thumb of ours, from its header. Raises Undecodable."""
    with open_image(source, MAX_HEIGHT * MAX_HEIGHT) as opened:
        return opened.displayed_size[0]


def _save(pixels: Image.Image, out: io.BytesIO, mime: str) -> None:
    # `info` holds the profile of the source, which Pillow would write to the output.
    pixels.info = {}
    if mime not in QUALITIES:
        raise ValueError(f"variants cannot be encoded as {mime}")
    exactness = fidelity(pixels)
    quality = next((quality for up_to, quality in QUALITIES[mime].items() if pixels.width <= up_to), 75)
    if exactness is not Fidelity.PHOTO:
        quality = _EXACT_QUALITY if exactness is Fidelity.EXACT else max(quality, _GRAPHIC_QUALITY)
    full_chroma: dict[str, Any] = {} if exactness is Fidelity.PHOTO else {"subsampling": "4:4:4"}
    # Encoder effort: beyond these values twice the time saves less than 1% of bytes (docs/performance.md).
    match mime:
        case "image/jpeg":
            flatten_on_white(pixels).save(out, "JPEG", quality=quality, optimize=True, **full_chroma)
        case "image/webp" if exactness is Fidelity.EXACT:
            _to_colour(pixels).save(out, "WEBP", lossless=True, quality=_LOSSLESS_EFFORT, method=2)
        case "image/webp":
            sharp = exactness is Fidelity.GRAPHIC
            _to_colour(pixels).save(out, "WEBP", quality=quality, method=2, use_sharp_yuv=sharp)
        case "image/avif":
            # One thread: the sandbox bounds the number of encoders.
            _to_colour(pixels).save(out, "AVIF", quality=quality, speed=9, max_threads=1, **full_chroma)


def _to_colour(pixels: Image.Image) -> Image.Image:
    return pixels if pixels.mode in ("RGB", "RGBA") else pixels.convert("RGB")

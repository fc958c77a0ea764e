"""Other widths and formats of an original, for the edge."""

import io

from PIL import Image

from tagify.imaging.decode import ImageSource, open_image
from tagify.imaging.transform import displayed_size, fit, flatten_on_white

QUALITIES = {
    "image/jpeg": {320: 84, 1024: 82, 8192: 78},
    "image/webp": {320: 82, 1024: 80, 8192: 76},
    "image/avif": {320: 64, 1024: 60, 8192: 55},
}
"""Quality by format and by the width up to which it holds. A small picture is looked at pixel by
pixel and costs few bytes; a large one is mostly shown smaller than it is."""

MAX_HEIGHT = 16_383
"""Rows of a variant, at most: a WebP has no more."""


def render_variant(source: ImageSource, *, width: int | None, mime: str, max_pixels: int) -> bytes:
    """The picture at most `width` pixels wide, as displayed, never enlarged, in sRGB, without metadata.

    Without a width it keeps its size. The first frame of an animation; alpha is kept but in JPEG,
    where it is laid on white. Raises Undecodable; OSError when the file cannot be read.
    """
    with open_image(source, max_pixels) as image:
        natural = displayed_size(image)[0]
        pixels = fit(image, (min(width or natural, natural), MAX_HEIGHT))
        out = io.BytesIO()
        _save(pixels, out, mime)
    return out.getvalue()


def natural_width(source: ImageSource) -> int:
    """The width of an image we made ourselves (a thumb), from its header. Raises Undecodable."""
    with open_image(source, MAX_HEIGHT * MAX_HEIGHT) as image:
        return displayed_size(image)[0]


def _save(pixels: Image.Image, out: io.BytesIO, mime: str) -> None:
    # An image remembers its file's profile and EXIF, and Pillow would write the first into the new one.
    pixels.info = {}
    if mime not in QUALITIES:
        raise ValueError(f"no variants are made as {mime}")
    quality = next((held for up_to, held in QUALITIES[mime].items() if pixels.width <= up_to), 75)
    # Each encoder at the step behind which twice the time buys under 1% of bytes (docs/performance.md).
    match mime:
        case "image/jpeg":
            flatten_on_white(pixels).save(out, "JPEG", quality=quality, optimize=True)
        case "image/webp":
            _to_colour(pixels).save(out, "WEBP", quality=quality, method=2)
        case "image/avif":
            # One thread: the number of encoders at work is decided elsewhere.
            _to_colour(pixels).save(out, "AVIF", quality=quality, speed=9, max_threads=1)


def _to_colour(pixels: Image.Image) -> Image.Image:
    return pixels if pixels.mode in ("RGB", "RGBA") else pixels.convert("RGB")

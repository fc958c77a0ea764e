"""Other widths and formats of an original, for the edge."""

import io

from PIL import Image

from tagify.imaging.pixels import displayed_size, fitted, on_white
from tagify.imaging.source import Source, opened

_TALL = 1 << 30
"""A box that bounds the width alone."""


def make_variant(source: Source, *, width: int, mime: str, max_pixels: int) -> bytes:
    """The picture at most `width` pixels wide, as displayed, never enlarged, in sRGB, without metadata.

    The first frame of an animation; alpha is kept but in JPEG, where it is laid on white.
    Raises Undecodable; OSError when the file cannot be read.
    """
    with opened(source, max_pixels) as image:
        pixels = fitted(image, (min(width, displayed_size(image)[0]), _TALL))
        out = io.BytesIO()
        _save(pixels, out, mime)
    return out.getvalue()


def natural_width(source: Source) -> int:
    """The width of an image we made ourselves (a thumb), from its header. Raises Undecodable."""
    with opened(source, _TALL) as image:
        return displayed_size(image)[0]


def _save(pixels: Image.Image, out: io.BytesIO, mime: str) -> None:
    # An image remembers its file's profile and EXIF, and Pillow would write the first into the new one.
    pixels.info = {}
    match mime:
        case "image/webp":
            rgb = pixels if pixels.mode in ("RGB", "RGBA") else pixels.convert("RGB")
            rgb.save(out, "WEBP", quality=80, method=4)
        case "image/jpeg":
            on_white(pixels).save(out, "JPEG", quality=82, optimize=True, progressive=True)
        case "image/avif":
            rgb = pixels if pixels.mode in ("RGB", "RGBA") else pixels.convert("RGB")
            rgb.save(out, "AVIF", quality=60, speed=8)
        case _:
            raise ValueError(f"no variants are made as {mime}")

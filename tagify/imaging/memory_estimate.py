"""Estimate of the memory that decoding an original takes, from its header."""

from PIL import Image

from tagify.imaging.decode import ImageSource, open_image
from tagify.imaging.transform import has_alpha
from tagify.model import THUMB_SIZE

_DRAFTS = (8, 4, 2)
"""The scales (1/8, 1/4, 1/2) to which a JPEG decoder can reduce an image while it decodes."""

_ONE_BYTE = {"1", "L", "P"}


def estimate_decode_bytes(source: ImageSource, *, max_pixels: int) -> int:
    """Estimated memory that `decode_original` takes for the pixels of this original, in bytes.

    Raises Undecodable; OSError if its file cannot be read.
    """
    with open_image(source, max_pixels) as opened:
        image = opened.header
        pixels = opened.size[0] * opened.size[1]
        if opened.format in ("JPEG", "MPO"):
            return _jpeg_bytes(image, pixels)
        return pixels * _pixel_bytes(image)


def _jpeg_bytes(image: Image.Image, pixels: int) -> int:
    """A JPEG is reduced while it is decoded; a progressive one holds 16-bit coefficients of all pixels."""
    target = min(image.size[0], image.size[1], THUMB_SIZE) * 2
    scale = next((scale for scale in _DRAFTS if min(image.size) // scale >= target), 1)
    coefficients = 3 * pixels if image.info.get("progressive") else 0
    return 4 * pixels // (scale * scale) + coefficients


def _pixel_bytes(image: Image.Image) -> int:
    """Pillow holds a pixel in one byte or four; an image that is converted is held in both modes."""
    decoded = 1 if image.mode in _ONE_BYTE else 4
    if has_alpha(image):
        return decoded + 8
    return decoded if image.mode in ("L", "RGB") else decoded + 4

"""What decoding an original will take, told from its header."""

from PIL import Image, ImageFile

from tagify.imaging.decode import ImageSource, open_image
from tagify.imaging.transform import has_alpha
from tagify.model import THUMB_SIZE

_DRAFTS = (8, 4, 2)
"""How much smaller a JPEG decoder can make a picture while it decodes."""

_ONE_BYTE = {"1", "L", "P"}


def estimate_decode_bytes(source: ImageSource, *, max_pixels: int) -> int:
    """Memory that `derive` takes for the pixels of this original, in bytes: an estimate from its header.

    Raises Undecodable; OSError when its file cannot be read.
    """
    with open_image(source, max_pixels) as image:
        pixels = image.size[0] * image.size[1]
        if image.format in ("JPEG", "MPO"):
            return _jpeg_bytes(image, pixels)
        return pixels * _pixel_bytes(image)


def _jpeg_bytes(image: ImageFile.ImageFile, pixels: int) -> int:
    """Scaled while it is decoded; but a progressive one keeps 16-bit coefficients of all its pixels."""
    wanted = min(image.size[0], image.size[1], THUMB_SIZE) * 2
    scale = next((scale for scale in _DRAFTS if min(image.size) // scale >= wanted), 1)
    coefficients = 3 * pixels if image.info.get("progressive") else 0
    return 4 * pixels // (scale * scale) + coefficients


def _pixel_bytes(image: Image.Image) -> int:
    """Pillow holds a pixel in one byte or in four; what must be converted is held in both forms."""
    held = 1 if image.mode in _ONE_BYTE else 4
    if has_alpha(image):
        return held + 8
    return held if image.mode in ("L", "RGB") else held + 4

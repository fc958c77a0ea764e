"""Estimate of the memory that decoding an original takes, from its header.

The numbers are peaks measured in child processes, rounded up (`test_memory_estimate.py` measures again).
"""

from tagify.imaging import headers
from tagify.imaging.decode import ImageSource, OpenedImage, open_image
from tagify.imaging.transform import DRAFT_MARGIN, has_alpha
from tagify.model import THUMB_SIZE

_DRAFTS = (8, 4, 2)
"""The scales (1/8, 1/4, 1/2) to which a JPEG decoder can reduce an image while it decodes."""

_BASE_BYTES = 16 << 20
_BYTES_PER_COLUMN = 3000
"""Buffers of a decoder and of the filters, which hold some hundred rows."""
_RESULT_BYTES = 8
"""A pixel of the result: itself, a copy in another mode, and what an encoder makes of it."""

_BMP, _GIF = 8, 8
_WEBP_LOSSLESS, _WEBP_ALPHA, _WEBP_LOSSY = 8, 4, 2
_WEBP_ANIMATED = 12
_AVIF, _AVIF_ALPHA, _AVIF_DEEP = 12, 20, 20
"""libavif holds the planes and two copies in RGB; planes of 10 and 12 bits take two bytes a sample."""
_HEIC = 16
_ROWS_ONLY, _ROWS_WITH_ALPHA = 3, 6
"""Of formats that are decoded row by row."""


def estimate_decode_bytes(source: ImageSource, *, max_pixels: int, width: int = THUMB_SIZE) -> int:
    """Estimated memory that decoding takes for a result of this width, in bytes.

    Raises Undecodable; OSError if its file cannot be read.
    """
    with open_image(source, max_pixels) as opened:
        columns, rows = opened.size
        pixels = columns * rows
        result = min(1.0, (max(width, THUMB_SIZE) / min(columns, rows)) ** 2) * pixels
        if opened.mime == "image/jpeg" and opened.reopen is None:
            decoding = _jpeg_bytes(opened, width)
        else:
            decoding = pixels * _pixel_bytes(opened)
        buffers = _BASE_BYTES + _BYTES_PER_COLUMN * columns
        # A file that ends early, and a WebP, are read as a whole.
        return int(decoding + result * _RESULT_BYTES + buffers + opened.length)


def _jpeg_bytes(opened: OpenedImage, width: int) -> int:
    """A JPEG is reduced while it is decoded; a progressive one holds 16-bit coefficients of all pixels."""
    pixels = opened.size[0] * opened.size[1]
    reduction = max(width, THUMB_SIZE) / opened.displayed_size[0]
    scale = next((scale for scale in _DRAFTS if scale * reduction * DRAFT_MARGIN <= 1), 1)
    coefficients = 4 * pixels if opened.header.info.get("progressive") else 0
    if opened.header.mode == "CMYK":
        coefficients *= 2
    return 8 * pixels // (scale * scale) + coefficients


def _pixel_bytes(opened: OpenedImage) -> int:
    match opened.format:
        case "WEBP":
            return _webp_pixel_bytes(opened)
        case "AVIF":
            return _avif_pixel_bytes(opened)
        case "PNG":
            return _png_pixel_bytes(opened)
        case "TIFF":
            return _tiff_pixel_bytes(opened)
    return {"HEIF": _HEIC, "GIF": _GIF}.get(opened.format, _BMP)


def _webp_pixel_bytes(opened: OpenedImage) -> int:
    webp = headers.read_webp_header(opened.stream)
    if webp.animated:
        return _WEBP_ANIMATED
    if webp.lossless:
        return _WEBP_LOSSLESS
    return _WEBP_ALPHA if webp.alpha else _WEBP_LOSSY


def _avif_pixel_bytes(opened: OpenedImage) -> int:
    alpha = has_alpha(opened.header) or opened.reopen is not None
    deep = headers.has_deep_samples(opened.stream)
    return (_AVIF_ALPHA if alpha else _AVIF) + (_AVIF_DEEP if deep else 0)


def _png_pixel_bytes(opened: OpenedImage) -> int:
    png = headers.read_png_header(opened.stream)
    samples = {0: 1, 2: 3, 3: 1, 4: 2}.get(png.colour_type, 4)
    alpha = png.transparency or png.colour_type >= 4  # noqa: PLR2004
    by_row = _ROWS_WITH_ALPHA if alpha else _ROWS_ONLY
    # An interlaced image is decoded as a whole.
    return by_row + ((samples + 1) * max(1, png.depth // 8) if png.interlaced else 0)


def _tiff_pixel_bytes(opened: OpenedImage) -> int:
    """A strip or a row of tiles may be the whole image."""
    page = headers.shown_tiff_page(opened.stream)
    samples = max(page.value(headers.SAMPLES, 1), page.colours)
    depth = max(1, page.value(headers.BITS, 8) // 8)
    return samples * depth * 2 + _ROWS_WITH_ALPHA

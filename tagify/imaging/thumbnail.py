"""Facts, placeholder and thumb of an original, from one decode."""

import io
from typing import cast

from PIL import Image, ImageFile

from tagify.imaging import metadata, thumbhash
from tagify.imaging.decode import ImageSource, open_image
from tagify.imaging.graphics import Fidelity, fidelity
from tagify.imaging.transform import fit
from tagify.model import THUMB_SIZE, DecodedOriginal, Picture

JPEG_QUALITY = 82
WEBP_QUALITY = 82
GRAPHIC_JPEG_QUALITY = 90
_LOSSLESS_EFFORT = 60
"""Of lossless WebP, 0 to 100."""
_PLACEHOLDER_SIDE = 24
"""Longest side of the input of the placeholder, in pixels: it holds at most seven frequencies per side."""


def decode_original(source: ImageSource, *, max_pixels: int) -> DecodedOriginal:
    """Decode an original. Raises Undecodable; OSError if its file cannot be read."""
    with open_image(source, max_pixels) as opened:
        # Before the pixels: decoding changes the image object.
        embedded = _read_metadata(opened.header)
        small = fit(opened, (THUMB_SIZE, THUMB_SIZE))
        thumb, thumb_mime = _encode(small)
        width, height = opened.displayed_size
        picture = Picture(
            mime=opened.mime,
            width=width,
            height=height,
            placeholder=_placeholder(small),
            taken_at=embedded.taken_at,
            keywords=embedded.keywords,
            camera=embedded.camera,
            lens=embedded.lens,
            position=embedded.position,
            frames=opened.count_frames(),
            damaged=opened.damaged,
        )
    return DecodedOriginal(picture, thumb, thumb_mime)


def _read_metadata(header: Image.Image) -> metadata.ImageMetadata:
    """The metadata; none if they are damaged, which is no reason to refuse the image."""
    try:
        return metadata.read_metadata(cast(ImageFile.ImageFile, header))
    except Exception:
        return metadata.ImageMetadata(None, (), "", "", None)


def _encode(small: Image.Image) -> tuple[bytes, str]:
    """The thumb: WebP if it is transparent or has to be exact, else JPEG; full chroma for graphics."""
    out = io.BytesIO()
    exactness = fidelity(small)
    transparent = small.mode == "RGBA" and small.getchannel("A").getextrema() != (255, 255)
    if exactness is Fidelity.EXACT:
        exact = small if small.mode in ("RGB", "RGBA") else small.convert("RGB")
        exact.save(out, "WEBP", lossless=True, quality=_LOSSLESS_EFFORT, method=4)
        return out.getvalue(), "image/webp"
    if transparent:
        sharp = exactness is Fidelity.GRAPHIC
        small.save(out, "WEBP", quality=WEBP_QUALITY, method=4, use_sharp_yuv=sharp)
        return out.getvalue(), "image/webp"
    opaque = small.convert("RGB") if small.mode == "RGBA" else small
    if exactness is Fidelity.GRAPHIC:
        opaque.save(out, "JPEG", quality=GRAPHIC_JPEG_QUALITY, subsampling="4:4:4")
    else:
        opaque.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue(), "image/jpeg"


def _placeholder(small: Image.Image) -> bytes:
    shrink = min(1.0, _PLACEHOLDER_SIDE / max(small.size))
    tiny = small.resize(
        (max(1, round(small.width * shrink)), max(1, round(small.height * shrink))), Image.Resampling.BOX
    )
    rgba = (tiny.convert("RGB") if tiny.mode == "YCbCr" else tiny).convert("RGBA")
    return thumbhash.encode(*rgba.size, rgba.tobytes())

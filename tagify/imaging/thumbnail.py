"""Facts, placeholder and thumb of an original, from one decode."""

import io
from dataclasses import dataclass

from PIL import Image

from tagify.imaging import metadata, thumbhash
from tagify.imaging.decode import FORMATS, ImageSource, open_image
from tagify.imaging.transform import displayed_size, fit
from tagify.model import THUMB_SIZE, Picture

JPEG_QUALITY = 82
WEBP_QUALITY = 82
_PLACEHOLDER_SIDE = 24
"""Longest side of the input of the placeholder, in pixels: it holds at most seven frequencies per side."""

_ANIMATED = {"image/gif", "image/webp", "image/png", "image/avif"}
"""Formats whose further images are frames, and not pages, previews or stereo pairs."""


@dataclass(frozen=True, slots=True)
class DecodedOriginal:
    """The facts of an original and its thumb by recipe `t1`: a JPEG, or a WebP if it has transparency."""

    picture: Picture
    thumb: bytes
    thumb_mime: str


def decode_original(source: ImageSource, *, max_pixels: int) -> DecodedOriginal:
    """Decode an original. Raises Undecodable; OSError if its file cannot be read."""
    with open_image(source, max_pixels) as image:
        # Before the orientation, for which Pillow decodes a PNG and closes its stream.
        embedded = metadata.read_metadata(image)
        width, height = displayed_size(image)
        mime = FORMATS[image.format or ""]
        small = fit(image, (THUMB_SIZE, THUMB_SIZE))
        thumb, thumb_mime = _encode(small)
        picture = Picture(
            mime=mime,
            width=width,
            height=height,
            placeholder=_placeholder(small),
            taken_at=embedded.taken_at,
            keywords=embedded.keywords,
            camera=embedded.camera,
            lens=embedded.lens,
            position=embedded.position,
            frames=getattr(image, "n_frames", 1) if mime in _ANIMATED else 1,
        )
    return DecodedOriginal(picture, thumb, thumb_mime)


def _encode(small: Image.Image) -> tuple[bytes, str]:
    out = io.BytesIO()
    if small.mode == "RGBA" and small.getchannel("A").getextrema() != (255, 255):
        small.save(out, "WEBP", quality=WEBP_QUALITY, method=4)
        return out.getvalue(), "image/webp"
    opaque = small.convert("RGB") if small.mode == "RGBA" else small
    opaque.save(out, "JPEG", quality=JPEG_QUALITY)
    return out.getvalue(), "image/jpeg"


def _placeholder(small: Image.Image) -> bytes:
    shrink = min(1.0, _PLACEHOLDER_SIDE / max(small.size))
    tiny = small.resize(
        (max(1, round(small.width * shrink)), max(1, round(small.height * shrink))), Image.Resampling.BOX
    )
    rgba = (tiny.convert("RGB") if tiny.mode == "YCbCr" else tiny).convert("RGBA")
    return thumbhash.encode(*rgba.size, rgba.tobytes())

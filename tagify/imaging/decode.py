"""Opening an original: the allowed decoders, and the translation of their errors to Undecodable."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pillow_heif
from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from tagify.errors import Undecodable
from tagify.imaging.metadata.jpeg_segments import without_excess_segments

# This call registers the decoder; one thread each, for ingest decodes several images at a time.
pillow_heif.register_heif_opener(thumbnails=False)
pillow_heif.options.DECODE_THREADS = 1

ImageSource = bytes | Path
"""The bytes of an original, or the path of its file."""

# Imported by name: a decoder registers itself on import, and no others are allowed.
FORMATS: dict[str, str] = {
    JpegImagePlugin.JpegImageFile.format: "image/jpeg",
    MpoImagePlugin.MpoImageFile.format: "image/jpeg",
    PngImagePlugin.PngImageFile.format: "image/png",
    GifImagePlugin.GifImageFile.format: "image/gif",
    WebPImagePlugin.WebPImageFile.format: "image/webp",
    BmpImagePlugin.BmpImageFile.format: "image/bmp",
    TiffImagePlugin.TiffImageFile.format: "image/tiff",
    AvifImagePlugin.AvifImageFile.format: "image/avif",
    "HEIF": "image/heic",
}
"""The allowed decoders, and the media type of the format that each reads."""

# A multi-picture JPEG is recognized by the JPEG decoder; MPO has no decoder to try.
_DECODERS = [name for name in FORMATS if name in Image.OPEN]

# We check the limit of each image from its header. Pillow's limit is global, warns at half of its value and
# would be checked before ours.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def open_image(source: ImageSource, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """The image with its header read and its size checked, but its pixels not decoded yet.

    Raises Undecodable, also for decoder errors raised in the block, since Pillow decodes lazily; OSError
    only if the file cannot be read.
    """
    if isinstance(source, bytes):
        with (
            _decoder_errors_translated(),
            _open_checked(io.BytesIO(source), len(source), max_pixels) as image,
        ):
            yield image
        return
    with source.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        with _decoder_errors_translated(), _open_checked(stream, size, max_pixels) as image:
            yield image


@contextmanager
def _open_checked(
    stream: io.BytesIO | io.BufferedReader, size: int, max_pixels: int
) -> Iterator[ImageFile.ImageFile]:
    if not size:
        raise Undecodable("the file is empty")
    with Image.open(without_excess_segments(stream), formats=_DECODERS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise Undecodable(
                f"{width} x {height} pixels exceed the limit of {max_pixels} (TAGIFY_MAX_PIXELS)"
            )
        yield image


@contextmanager
def _decoder_errors_translated() -> Iterator[None]:
    """Translate the errors of decoders, which raise almost any exception on damaged data, to Undecodable.

    An OSError with an errno comes from the file system and is raised unchanged; Pillow's have none.
    """
    try:
        yield
    except Undecodable:
        raise
    except UnidentifiedImageError as error:
        raise Undecodable("it is not in a supported image format") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Undecodable(_describe(error)) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise Undecodable("decoding it takes more memory than available") from error
    except Exception as error:
        raise Undecodable(f"the image is damaged ({type(error).__name__})") from error


def _describe(error: OSError) -> str:
    if "truncated" in str(error):
        return "the file is truncated"
    return f"the image is damaged ({error})"

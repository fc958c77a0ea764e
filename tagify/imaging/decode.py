"""Opening an original: which decoders may run, and what their many complaints mean."""

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

# Its decoder registers itself on this call; one thread, for ingest decodes several at a time.
pillow_heif.register_heif_opener(thumbnails=False)
pillow_heif.options.DECODE_THREADS = 1

ImageSource = bytes | Path
"""The bytes of an original, or where its file is."""

# Imported by name: a decoder registers itself on import, and these are all that shall be.
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
"""The decoders that may be tried, and the media type of what each reads."""

# A multi-picture JPEG is found out by the JPEG decoder; it has none of its own to be tried.
_DECODERS = [name for name in FORMATS if name in Image.OPEN]

# Our own limit is checked from the header for each image; Pillow's is a global one, with a
# warning at half of it, and would speak first.
Image.MAX_IMAGE_PIXELS = None


@contextmanager
def open_image(source: ImageSource, max_pixels: int) -> Iterator[ImageFile.ImageFile]:
    """The image, its header read and its size checked, its pixels not decoded yet.

    Errors raised in the block are told as Undecodable too: Pillow decodes late. Raises OSError
    only where the file itself cannot be read.
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
    with Image.open(stream, formats=_DECODERS) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise Undecodable(
                f"{width} x {height} pixels are more than the limit of {max_pixels} (TAGIFY_MAX_PIXELS)"
            )
        yield image


@contextmanager
def _decoder_errors_translated() -> Iterator[None]:
    """Decoders raise whatever their file format made them stumble over; all of it means one thing.

    An OSError with an errno is the disk's; Pillow's own carry none.
    """
    try:
        yield
    except Undecodable:
        raise
    except UnidentifiedImageError as error:
        raise Undecodable("it is in no image format that is known") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Undecodable(_describe(error)) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise Undecodable("decoding it would take more memory than there is") from error
    except Exception as error:
        raise Undecodable(f"the picture is damaged ({type(error).__name__})") from error


def _describe(error: OSError) -> str:
    if "truncated" in str(error):
        return "the file ends in the middle of the picture"
    return f"the picture is damaged ({error})"

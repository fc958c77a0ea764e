"""libvips, for the formats and depths that Pillow does not decode right; its use is confined to this module.

Only the loaders of formats that we accept are enabled: libvips' others, and all that it marks as unsafe for
untrusted data, are blocked. It starts its threads with the first decode, so that a fork server may import
this module; one thread decodes an image, for the callers bound how many are decoded at a time.
"""

import io
import logging
import os
from typing import Any, cast

import pyvips

pyvips.concurrency_set(1)
# Results are not kept: an image is decoded once.
pyvips.cache_set_max(0)
pyvips.block_untrusted_set(True)
pyvips.operation_block_set("VipsForeignLoad", True)
for _loader in ("Jpeg", "Png", "Webp", "Tiff", "Heif", "Nsgif"):
    pyvips.operation_block_set(f"VipsForeignLoad{_loader}", False)
# It warns about every damaged file; the error says the same.
logging.getLogger("pyvips").setLevel(logging.CRITICAL)

VipsError = pyvips.Error


def raise_if_out_of_memory(error: pyvips.Error) -> None:
    """Raise MemoryError for an allocation that failed: a second attempt would need as much.

    The text is that of `vips_tracked_malloc`, libvips' allocator for pixels.
    """
    if "out of memory" in f"{error.message} {error.detail}":
        raise MemoryError from error


_INTEGER_MAX = {"char": 127, "short": 32_767, "uint": 4_294_967_295, "int": 2_147_483_647}
_PADDING = 65_536
_EIGHT_BITS, _SIXTEEN_BITS = 255, 65_535
_CMYK_BANDS = 4


def open_stream(stream: io.BytesIO | io.BufferedReader, **options: Any) -> pyvips.Image:
    """The image of a stream, with its header read. Raises VipsError.

    A file is read by offset, not mapped: the file position stays Pillow's, and a file that shrinks while it
    is read is an error instead of a signal that kills the process.
    """
    if isinstance(stream, io.BytesIO):
        return pyvips.Image.new_from_buffer(stream.getvalue(), "", access="sequential", **options)
    return pyvips.Image.new_from_source(_reader(stream.fileno()), "", access="sequential", **options)


def open_padded(stream: io.BytesIO | io.BufferedReader) -> pyvips.Image:
    """The image of a stream that ends early, as far as it goes: the decoder reads whole blocks."""
    stream.seek(0)
    data = stream.read() + bytes(_PADDING)
    return pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="none")


def is_intact(stream: io.BytesIO) -> bool:
    """Whether all pixels can be decoded, without a warning of the decoder."""
    try:
        open_stream(stream, fail_on="warning").avg()
    except VipsError as error:
        raise_if_out_of_memory(error)
        return False
    return True


def clear_around(image: pyvips.Image, area: tuple[int, int, int, int]) -> pyvips.Image:
    """The image with alpha, transparent outside of an area (left, top, width, height)."""
    left, top = min(area[0], image.width), min(area[1], image.height)
    width, height = min(area[2], image.width - left), min(area[3], image.height - top)
    if (width, height) == (image.width, image.height) or not (width and height):
        return image
    frame = image.crop(left, top, width, height).addalpha()
    return frame.embed(left, top, image.width, image.height)


def _reader(fd: int) -> pyvips.SourceCustom:
    position = 0
    size = _size(fd)

    def read(length: int) -> bytes:
        nonlocal position
        data = os.pread(fd, length, position)
        position += len(data)
        return data

    def seek(offset: int, whence: int) -> int:
        nonlocal position
        start = {os.SEEK_SET: 0, os.SEEK_CUR: position, os.SEEK_END: size}[whence]
        position = start + offset
        return position

    source = pyvips.SourceCustom()
    source.on_read(read)
    source.on_seek(seek)
    return source


def _size(fd: int) -> int:
    """The length of a file; its offset is unchanged. A confined process may not call fstat."""
    offset = os.lseek(fd, 0, os.SEEK_CUR)
    size = os.lseek(fd, 0, os.SEEK_END)
    os.lseek(fd, offset, os.SEEK_SET)
    return size


def metadata(image: pyvips.Image, name: str) -> bytes | None:
    """A blob of metadata: `exif`, `xmp`, `iptc` or `icc-profile`; None if absent."""
    field = f"{name}-data"
    return bytes(image.get(field)) if image.get_typeof(field) else None


def number(image: pyvips.Image, name: str, default: int) -> int:
    """A number of the header."""
    return int(image.get(name)) if image.get_typeof(name) else default


def reduce(image: pyvips.Image, target: tuple[int, int]) -> pyvips.Image:
    """The image in memory, resized to `target`, in its own colour space and depth.

    Alpha is premultiplied meanwhile, so that the colours of transparent pixels do not bleed into edges.
    """
    image = _finite(image)
    if (image.width, image.height) == target:
        return image.copy_memory()
    alpha = image.hasalpha()
    form = image.format
    work = image.premultiply() if alpha else image
    work = work.resize(target[0] / image.width, vscale=target[1] / image.height, kernel="lanczos3")
    if alpha:
        work = work.unpremultiply().cast(form)
    return work.copy_memory()


def _finite(image: pyvips.Image) -> pyvips.Image:
    """The image without NaN, which a filter spreads. Raises VipsError for complex numbers."""
    if "complex" in image.format:
        raise VipsError("images of complex numbers are not supported")
    if image.format in ("float", "double"):
        is_number = image == image  # noqa: PLR0124 - NaN equals nothing
        return is_number.ifthenelse(image, 0)
    return image


def to_srgb(image: pyvips.Image, profile: bytes | None) -> pyvips.Image:
    """A small image as 8-bit sRGB or grey, with or without alpha. Raises VipsError."""
    image = _standard_depth(image)
    if profile:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
        try:
            return image.icc_transform("srgb", embedded=True, intent="perceptual", depth=8).copy_memory()
        except VipsError:
            # The profile is for another colour space than the pixels; browsers ignore such a profile, too.
            image.remove("icc-profile-data")
    elif image.get_typeof("icc-profile-data"):
        image = image.copy()
        image.remove("icc-profile-data")
    grey = image.interpretation in ("b-w", "grey16")
    return image.colourspace("b-w" if grey else "srgb").cast("uchar")


def _standard_depth(image: pyvips.Image) -> pyvips.Image:
    """Integers of 32 bits, signed ones and grey floats as 8 bits; what libvips knows by itself unchanged."""
    if image.interpretation in ("lab", "labs", "scrgb", "xyz"):
        return image
    if image.format in ("float", "double"):
        return _scaled(image, max(1.0, image.max()))
    if image.format in _INTEGER_MAX:
        return _scaled(image, _ceiling(image.max(), _INTEGER_MAX[image.format]))
    return image


def _ceiling(high: float, full: int) -> float:
    """White of integers of 32 bits: scientific files hold numbers of 8 or 16 bits in them."""
    return next((white for white in (_EIGHT_BITS, _SIXTEEN_BITS) if high <= white < full), full)


def _scaled(image: pyvips.Image, white: float) -> pyvips.Image:
    interpretation = "b-w" if image.bands <= 2 else "cmyk" if image.interpretation == "cmyk" else "srgb"  # noqa: PLR2004
    return (image * (_EIGHT_BITS / white)).rint().cast("uchar").copy(interpretation=interpretation)


def drop_extra_bands(image: pyvips.Image, colours: int, *, alpha: bool) -> pyvips.Image:
    """The image's colours, and its alpha if the next band is one."""
    bands = colours + alpha
    return image.extract_band(0, n=bands) if image.bands > bands else image


def pixels(image: pyvips.Image) -> tuple[str, tuple[int, int], bytes]:
    """Pillow's mode, size and bytes of an 8-bit image."""
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[image.bands]
    return mode, (image.width, image.height), cast(bytes, image.write_to_memory())

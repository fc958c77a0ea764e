"""Opening an original: the allowed decoders, and the translation of their errors to Undecodable.

Pillow reads the header and the metadata of every format, and decodes JPEG (reduced while it is decoded),
HEIC, BMP and AVIF. libvips decodes PNG, GIF, WebP, TIFF, AVIF that is HDR, BMP with masks, and any image that
Pillow cannot open (docs/decisions/0038-libvips-beside-pillow.md).
"""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pillow_heif
import pyvips
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
from tagify.imaging import bmp, colour, headers, truncation, vips
from tagify.imaging.metadata.jpeg_segments import without_excess_segments

# This call registers the decoder; one thread each, for ingest decodes several images at a time.
pillow_heif.register_heif_opener(thumbnails=False)
pillow_heif.options.DECODE_THREADS = 1

Stream = io.BytesIO | io.BufferedReader

ImageSource = bytes | Path | io.BufferedReader
"""The bytes of an original, the path of its file, or the open file: a confined process can open no path."""

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

_VIPS_FORMATS = {"PNG", "GIF", "WEBP", "TIFF"}
"""Formats whose pixels libvips decodes even if Pillow can: it reads more depths, in less memory and time."""

_ANIMATED = {"GIF", "WEBP", "PNG", "AVIF"}
"""Formats whose further images are frames, and not pages, previews or stereo pairs."""

_FRAMES_LIMIT = 100_000

# We check the limit of each image from its header. Pillow's limit is global, warns at half of its value and
# would be checked before ours.
Image.MAX_IMAGE_PIXELS = None

_JPEG_END = b"\xff\xd9"
_ORIENTATION = 0x0112
_ORIENTATIONS = range(1, 9)


Reopen = Callable[[float, str], pyvips.Image]
"""Opens the image with libvips. Arguments: divisor of its size, for formats that can be reduced while they
are decoded; and what makes decoding fail (`truncated` or `none`)."""


@dataclass(slots=True)
class OpenedImage:
    """An original with its header read and its size checked, but its pixels not decoded yet.

    `header` is Pillow's image, or a stand-in with the metadata if Pillow cannot open the file. `reopen` is
    None if Pillow decodes the pixels. `orientation` turns the stored pixels upright (EXIF's numbers).
    """

    format: str
    size: tuple[int, int]
    orientation: int
    header: Image.Image
    stream: Stream
    reopen: Reopen | None = None
    profile: bytes | None = None
    space: colour.ColourSpace | None = None
    damaged: bool = False

    @property
    def length(self) -> int:
        """Length of the file, in bytes."""
        return self.stream.seek(0, os.SEEK_END)

    @property
    def mime(self) -> str:
        """Media type."""
        return FORMATS[self.format]

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Width and height with the orientation applied."""
        width, height = self.size
        return (height, width) if self.orientation > 4 else (width, height)  # noqa: PLR2004 - sideways

    def count_frames(self) -> int:
        """Number of frames of an animation, as far as they can be read; 1 for a still picture."""
        if self.format not in _ANIMATED:
            return 1
        try:
            return max(1, int(getattr(self.header, "n_frames", 1)))
        except Exception:
            # A damaged late frame; libvips counts those before it.
            with suppress(vips.VipsError):
                return vips.number(vips.open_stream(self.stream), "n-pages", 1)
        return 1


@contextmanager
def open_image(source: ImageSource, max_pixels: int) -> Iterator[OpenedImage]:
    """The image with its header read and its size checked, but its pixels not decoded yet.

    Raises Undecodable, also for decoder errors raised in the block, since decoders are lazy; OSError only if
    the file cannot be read.
    """
    with _open_source(source) as (stream, size), _decoder_errors_translated():
        if not size:
            raise Undecodable("the file is empty")
        if truncation.lacks_directory(stream, size):
            raise Undecodable("the file is truncated: the directory of the TIFF is missing")
        padded, is_cut = truncation.complete(stream, size)
        with _cut_named(is_cut), _open_header(padded) as header:
            opened = _open(padded, header)
            opened.damaged = is_cut
            width, height = opened.size
            if width * height > max_pixels:
                raise Undecodable(
                    f"{width} x {height} pixels exceed the limit of {max_pixels} (TAGIFY_MAX_PIXELS)"
                )
            yield opened


@contextmanager
def _cut_named(is_cut: bool) -> Iterator[None]:
    """Give a decoder's error on a cut file its true reason."""
    try:
        yield
    except (Undecodable, MemoryError):
        raise
    except Exception as error:
        if not is_cut or (isinstance(error, OSError) and error.errno is not None):
            raise
        raise Undecodable("the file is truncated: nothing in it can be shown") from error


@contextmanager
def _open_source(source: ImageSource) -> Iterator[tuple[Stream, int]]:
    """A stream of the source, and its length in bytes."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
        return
    if isinstance(source, io.BufferedReader):
        # By its offset: a confined process may not call fstat, which some C libraries make a stat of a path.
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        yield source, size
        return
    with source.open("rb") as stream:
        yield stream, os.fstat(stream.fileno()).st_size


@contextmanager
def _open_header(stream: Stream) -> Iterator[ImageFile.ImageFile | Exception]:
    """Pillow's image, or the error if it cannot open it."""
    try:
        image = Image.open(without_excess_segments(stream), formats=_DECODERS)
    except OSError as error:
        if error.errno is not None:
            raise
        yield error
    except Exception as error:
        # Decoders raise almost any exception on damaged metadata.
        yield error
    else:
        with image:
            yield image


def _open(stream: Stream, header: ImageFile.ImageFile | Exception) -> OpenedImage:
    if isinstance(header, Exception):
        return _open_without_pillow(stream, header)
    if header.format == "BMP" and (bitmap := bmp.read_masks(stream)):
        return _open_bitmap(stream, header, bitmap)
    return _OPENERS.get(header.format or "", _opened)(stream, header)


def _open_gif(stream: Stream, header: ImageFile.ImageFile) -> OpenedImage:
    opened = _opened(stream, header)
    reopen, area = _reopener(stream, "GIF"), headers.read_first_gif_frame(stream)

    def reopen_on_clear_canvas(shrink: float, fail_on: str) -> pyvips.Image:
        image = reopen(shrink, fail_on)
        return vips.clear_around(image, area) if area and not image.hasalpha() else image

    opened.reopen = reopen_on_clear_canvas
    return opened


def _open_bitmap(stream: Stream, header: Image.Image, bitmap: bmp.MaskedBitmap) -> OpenedImage:
    size = bitmap.width, bitmap.height
    return OpenedImage("BMP", size, 1, header, stream, lambda _shrink, _fail_on: bmp.decode(stream, bitmap))


def _opened(stream: Stream, header: ImageFile.ImageFile) -> OpenedImage:
    opened = OpenedImage(
        header.format or "",
        header.size,
        _exif_orientation(header.info.get("exif")),
        header,
        stream,
        profile=header.info.get("icc_profile"),
    )
    if opened.format in _VIPS_FORMATS:
        opened.reopen = _reopener(stream, opened.format)
    return opened


def _reopener(stream: Stream, image_format: str, **options: int) -> Reopen:
    def reopen(shrink: float, fail_on: str) -> pyvips.Image:
        if image_format == "PNG" and fail_on == "none":
            return vips.open_padded(stream)
        if image_format == "WEBP" and shrink > 1:
            return vips.open_stream(stream, fail_on=fail_on, scale=1 / shrink, **options)
        return vips.open_stream(stream, fail_on=fail_on, **options)

    return reopen


def _open_png(stream: Stream, header: ImageFile.ImageFile) -> OpenedImage:
    opened = _opened(stream, header)
    opened.space = _png_colour_space(headers.read_png_header(stream))
    if opened.space:
        opened.profile = None
    return opened


def _png_colour_space(png: headers.PngHeader) -> colour.ColourSpace | None:
    """The colour space that chunks describe. cICP is valid before a profile, that before gAMA and cHRM."""
    if png.cicp:
        return _unless_srgb(colour.from_cicp(*png.cicp))
    if png.profile or png.srgb:
        return None
    return _unless_srgb(colour.from_png(png.gamma, png.chromaticities))


def _unless_srgb(space: colour.ColourSpace | None) -> colour.ColourSpace | None:
    return None if space is None or space.is_srgb else space


def _open_isobmff(stream: Stream, header: ImageFile.ImageFile) -> OpenedImage:
    opened = _opened(stream, header)
    if not opened.profile and (nclx := headers.read_nclx(stream)):
        opened.space = _unless_srgb(colour.from_cicp(*nclx))
    if opened.format == "AVIF" and opened.space and opened.space.is_hdr:
        # libheif applies rotation and mirroring, and gives more than 8 bits.
        opened.reopen = _reopener(stream, "AVIF")
        image = opened.reopen(1, "none")
        opened.size, opened.orientation = (image.width, image.height), 1
    return opened


def _open_tiff(stream: Stream, header: Image.Image) -> OpenedImage:
    page = headers.shown_tiff_page(stream)
    options = {"page": page.number} if page.number else {}
    reopen = _reopener(stream, "TIFF", **options)
    try:
        image = reopen(1, "none")
    except vips.VipsError:
        return _open_tiff_with_pillow(stream, header, page)
    orientation = page.value(headers.ORIENTATION, 1)

    def reopen_without_extra_samples(shrink: float, fail_on: str) -> pyvips.Image:
        return vips.drop_extra_bands(reopen(shrink, fail_on), page.colours, alpha=page.has_alpha)

    return OpenedImage(
        "TIFF",
        (image.width, image.height),
        orientation if orientation in _ORIENTATIONS else 1,
        header,
        stream,
        reopen_without_extra_samples if image.bands > page.colours else reopen,
        vips.metadata(image, "icc-profile"),
    )


def _open_tiff_with_pillow(stream: Stream, header: Image.Image, page: headers.TiffPage) -> OpenedImage:
    """Depths that libvips does not unpack, such as 12 bits. Pillow turns a TIFF upright when it loads it."""
    if not isinstance(header, TiffImagePlugin.TiffImageFile):
        raise Undecodable("this kind of TIFF is not supported")
    if page.number:
        header.seek(page.number)
    size = header.size
    if page.value(headers.ORIENTATION, 1) > 4:  # noqa: PLR2004 - sideways
        size = size[1], size[0]
    bits = page.value(headers.BITS, 8)
    if header.mode.startswith("I;16") and bits < 16:  # noqa: PLR2004
        header.info["bits"] = bits
    return OpenedImage("TIFF", size, 1, header, stream, profile=header.info.get("icc_profile"))


_OPENERS: dict[str, Callable[[Stream, ImageFile.ImageFile], OpenedImage]] = {
    "TIFF": _open_tiff,
    "PNG": _open_png,
    "AVIF": _open_isobmff,
    "HEIF": _open_isobmff,
    "GIF": _open_gif,
}

_VIPS_LOADERS = {
    "jpegload": "JPEG",
    "pngload": "PNG",
    "gifload": "GIF",
    "webpload": "WEBP",
    "tiffload": "TIFF",
    "heifload": "AVIF",
}


def _open_without_pillow(stream: Stream, error: Exception) -> OpenedImage:
    """An image that Pillow cannot open, if libvips or our reader of BMP can. Raises the error of Pillow."""
    if bitmap := bmp.read_masks(stream):
        return _open_bitmap(stream, Image.new("1", (1, 1)), bitmap)
    try:
        image = vips.open_stream(stream)
    except vips.VipsError as vips_error:
        # The reason of the decoder that has recognized the format.
        raise (error if "not in a known format" in str(vips_error) else vips_error) from None
    kind = _VIPS_LOADERS[str(image.get("vips-loader")).partition("_")[0]]
    if kind == "AVIF" and image.get("heif-compression") != "av1":
        raise error
    stand_in = _stand_in(stream, image, kind)
    return _open_tiff(stream, stand_in) if kind == "TIFF" else _open_with_vips(stream, stand_in, image, kind)


def _stand_in(stream: Stream, image: pyvips.Image, kind: str) -> Image.Image:
    """An image of Pillow that has the metadata found by libvips, and the stream to read more."""
    header = Image.new("1", (1, 1))
    vars(header).update(fp=stream, format=kind)
    for name, key in (("exif", "exif"), ("xmp", "xmp"), ("icc-profile", "icc_profile")):
        if data := vips.metadata(image, name):
            header.info[key] = data
    return header


def _open_with_vips(stream: Stream, header: Image.Image, image: pyvips.Image, kind: str) -> OpenedImage:
    opened = OpenedImage(
        kind,
        (image.width, image.height),
        1 if kind == "AVIF" else _exif_orientation(header.info.get("exif")),
        header,
        stream,
        _reopener(stream, kind),
        header.info.get("icc_profile"),
    )
    if kind == "PNG":
        opened.space = _png_colour_space(headers.read_png_header(stream))
    elif kind == "AVIF" and not opened.profile and (nclx := headers.read_nclx(stream)):
        opened.space = _unless_srgb(colour.from_cicp(*nclx))
    return opened


def reopen_with_end(stream: Stream) -> tuple[ImageFile.ImageFile, bool]:
    """A JPEG that lacks its end, with one: the decoder then shows what there is instead of failing.

    Also returns whether pixels are missing, and not the end alone.
    """
    stream.seek(0)
    whole = io.BytesIO(stream.read() + _JPEG_END)
    image = Image.open(without_excess_segments(whole), formats=["JPEG"])
    return image, not vips.is_intact(whole)


def _exif_orientation(block: bytes | None) -> int:
    """The orientation in a block of EXIF; 1 if absent or invalid. As in browsers, that of XMP is ignored."""
    if not block:
        return 1
    exif = Image.Exif()
    try:
        exif.load(block)
        value = exif.get(_ORIENTATION, 1)
    except Exception:
        # Damaged metadata are no reason to refuse the image.
        return 1
    return value if isinstance(value, int) and value in _ORIENTATIONS else 1


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
        raise Undecodable("the file is not in a supported image format") from error
    except vips.VipsError as error:
        raise Undecodable(f"the image is damaged or of an unsupported kind ({_first_line(error)})") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise Undecodable(_describe(error)) from error
    except (Image.DecompressionBombError, MemoryError) as error:
        raise Undecodable("decoding the file takes more memory than available") from error
    except Exception as error:
        raise Undecodable(f"the image is damaged ({type(error).__name__})") from error


def _first_line(error: pyvips.Error) -> str:
    """The first line of libvips' report, after the name of the operation."""
    lines = [line.strip() for line in str(error.detail or error.message).splitlines() if line.strip()]
    return "".join(char for char in lines[0] if char.isprintable())[:200] if lines else "no reason given"


def _describe(error: OSError) -> str:
    if "truncated" in str(error):
        return "the file is truncated"
    return f"the image is damaged ({error})"

"""Metadata embedded in an original: time, position, camera and keywords, from EXIF, IPTC and XMP.

Each kind has its module. All are read in linear time and bounded memory (`limits`); what is damaged or
exceeds a bound is left out, and is no reason to refuse the image.
"""

import io
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO

from PIL import ImageFile

from tagify.imaging.metadata.dates import choose_time, parse_date
from tagify.imaging.metadata.exif import Exif, Tag, read_exif
from tagify.imaging.metadata.gif_xmp import read_gif_xmp
from tagify.imaging.metadata.iptc import IptcRecords, read_iptc
from tagify.imaging.metadata.limits import MAX_BLOCK_BYTES
from tagify.imaging.metadata.png_chunks import read_png
from tagify.imaging.metadata.position import read_gps_time, read_position
from tagify.imaging.metadata.xmp import (
    CAPTURE_TIMES,
    LENSES,
    MAKE,
    MODEL,
    MODIFY_TIME,
    XmpProperties,
    read_xmp,
)
from tagify.model import GeoPosition
from tagify.tagnames import normalize_keywords

_MAX_NAME_LENGTH = 100
"""Maximum length of the name of a camera or lens, in characters; longer ones are cut."""

_IPTC_RESOURCE = 0x0404
"""Pillow has the image resources of a JPEG by their numbers."""


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """The metadata of an original; a field is empty if it is absent or invalid."""

    taken_at: datetime | None
    keywords: tuple[str, ...]
    camera: str
    lens: str
    position: GeoPosition | None


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The metadata of a file by kind; times of a PNG as they are written."""

    exif: Exif
    xmp: bytes
    iptc: IptcRecords
    created: str = ""
    modified: str = ""


def read_metadata(image: ImageFile.ImageFile) -> ImageMetadata:
    """The metadata of an opened image, whose stream is left where it was."""
    blocks = _read_blocks(image)
    exif, xmp = blocks.exif, read_xmp(blocks.xmp)
    return ImageMetadata(
        taken_at=_taken_at(blocks, xmp),
        keywords=_keywords(xmp, blocks),
        camera=_camera(
            _name(exif.text(Tag.MAKE) or xmp.simple.get(MAKE, "")),
            _name(exif.text(Tag.MODEL) or xmp.simple.get(MODEL, "")),
        ),
        lens=_name(exif.text(Tag.LENS_MODEL) or _first(xmp, LENSES)),
        position=read_position(exif.gps),
    )


def sidecar_keywords(packet: bytes | BinaryIO) -> tuple[str, ...]:
    """The keywords of an XMP sidecar or of its stream, normalized as tags; what was read before a fault."""
    xmp = read_xmp(packet)
    return normalize_keywords([*xmp.subjects, *xmp.leaves, *xmp.people])


def _read_blocks(image: ImageFile.ImageFile) -> _Blocks:
    blocks = _Blocks(
        exif=_exif_of(image.info.get("exif")),
        xmp=_bytes(image.info.get("xmp")),
        iptc=_iptc_of(image.info.get("photoshop")),
    )
    stream = getattr(image, "fp", None)
    if stream is None or image.format not in ("PNG", "TIFF", "GIF"):
        return blocks
    position = stream.tell()
    try:
        return _blocks_of_stream(image.format, stream, blocks)
    finally:
        stream.seek(position)


def _blocks_of_stream(kind: str, stream: BinaryIO, blocks: _Blocks) -> _Blocks:
    """The blocks that Pillow does not read, or not before the pixels."""
    if kind == "GIF":
        return replace(blocks, xmp=read_gif_xmp(stream))
    if kind == "TIFF":
        exif = read_exif(stream)
        iptc = read_iptc(exif.block(Tag.IPTC) or exif.block(Tag.PHOTOSHOP))
        return replace(blocks, exif=exif, xmp=exif.block(Tag.XMP), iptc=iptc)
    png = read_png(stream)
    return _Blocks(_exif_of(png.exif), png.xmp, read_iptc(png.iptc), png.created, png.modified)


def _exif_of(block: object) -> Exif:
    """The EXIF of a block; writers of PNG and WebP may put the header of a JPEG's segment before it."""
    data = _bytes(block)
    start = 6 if data[:4] in (b"Exif", b"EXIF") else 0
    return read_exif(io.BytesIO(data), start) if len(data) <= MAX_BLOCK_BYTES else Exif()


def _iptc_of(resources: object) -> IptcRecords:
    block = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    return read_iptc(block) if isinstance(block, bytes) else IptcRecords()


def _bytes(block: object) -> bytes:
    return (
        block.encode("utf-8", "replace")
        if isinstance(block, str)
        else block
        if isinstance(block, bytes)
        else b""
    )


def _taken_at(blocks: _Blocks, xmp: XmpProperties) -> datetime | None:
    """The time of capture: the first that is valid, as exiftool orders them."""
    exif = blocks.exif
    original, digitized, modified = (
        exif.text(tag) for tag in (Tag.ORIGINAL_OFFSET, Tag.DIGITIZED_OFFSET, Tag.MODIFY_OFFSET)
    )
    dates = (
        parse_date(
            exif.text(Tag.ORIGINAL_TIME),
            original or modified or digitized,
            exif.text(Tag.ORIGINAL_SUBSECONDS),
        ),
        parse_date(
            exif.text(Tag.DIGITIZED_TIME),
            digitized or modified or original,
            exif.text(Tag.DIGITIZED_SUBSECONDS),
        ),
        *(parse_date(xmp.simple.get(name, "")) for name in CAPTURE_TIMES),
        parse_date(blocks.iptc.created),
        parse_date(blocks.created),
        parse_date(exif.text(Tag.MODIFY_TIME), modified, exif.text(Tag.MODIFY_SUBSECONDS)),
        parse_date(xmp.simple.get(MODIFY_TIME, "")),
        parse_date(blocks.modified),
    )
    return choose_time(dates, read_gps_time(exif.gps))


def _keywords(xmp: XmpProperties, blocks: _Blocks) -> tuple[str, ...]:
    """Keywords and people: subjects first, so that their spelling is the one that is kept."""
    windows = blocks.exif.block(Tag.XP_KEYWORDS).decode("utf-16-le", "replace").rstrip("\0")
    names = [*xmp.subjects, *blocks.iptc.keywords, *xmp.leaves, *windows.split(";"), *xmp.people]
    return normalize_keywords(names)


def _camera(make: str, model: str) -> str:
    """Make and model; many models already start with the make."""
    return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _name(value: str) -> str:
    return " ".join("".join(char for char in value if char.isprintable()).split())[:_MAX_NAME_LENGTH]


def _first(xmp: XmpProperties, names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := xmp.simple.get(name, ""))), "")

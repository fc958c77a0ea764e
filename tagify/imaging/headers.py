"""Readers of what decoders do not report: tags of TIFF pages, colour chunks of PNG, colours of AVIF and HEIC.

Each reader is bounded and returns what it has found when a structure is damaged: the decoder decides whether
the image can be shown.
"""

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

Stream = io.BytesIO | io.BufferedReader

_MAX_PAGES = 1000
_MAX_ENTRIES = 1000
_MAX_VALUES = 16
_MAX_CHUNKS = 10_000
_MAX_BOX_BYTES = 1 << 20

_WIDTHS = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Struct codes of the types of TIFF that hold the tags read here."""

SUBFILE_TYPE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 254, 256, 257, 258, 259, 262
ORIENTATION, SAMPLES, PLANAR, EXTRA_SAMPLES, SAMPLE_FORMAT, TILE_WIDTH = 274, 277, 284, 338, 339, 322
ROWS_PER_STRIP, TILE_LENGTH = 278, 323
_TAGS = {
    SUBFILE_TYPE,
    WIDTH,
    HEIGHT,
    BITS,
    COMPRESSION,
    PHOTOMETRIC,
    ORIENTATION,
    SAMPLES,
    PLANAR,
    EXTRA_SAMPLES,
    SAMPLE_FORMAT,
    TILE_WIDTH,
    TILE_LENGTH,
    ROWS_PER_STRIP,
}
_CMYK = 5
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 3, 5: 4, 6: 3, 8: 3}
"""Number of colours by photometric interpretation; a palette becomes three."""
_REDUCED = 1
_HIGH_BIT_DEPTH = 0x40
"""In the third byte of `av1C`."""


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One page; `number` counts from 0."""

    number: int
    tags: dict[int, tuple[int, ...]]

    def value(self, tag: int, default: int) -> int:
        """The first value of a tag."""
        return next(iter(self.tags.get(tag, ())), default)

    @property
    def has_alpha(self) -> bool:
        """Whether the first extra sample is alpha; an unspecified one is not, a missing tag means alpha."""
        extra = self.tags.get(EXTRA_SAMPLES)
        return self.value(SAMPLES, 1) > self.colours and (extra is None or extra[:1] not in ((0,), ()))

    @property
    def colours(self) -> int:
        """Number of colour channels, a palette's three included."""
        return _COLOURS.get(self.value(PHOTOMETRIC, 1), 3)


def shown_tiff_page(stream: Stream) -> TiffPage:
    """The first page that is not a reduced version of another one, as far as the pages can be read."""
    first = None
    with suppress(struct.error, OSError, OverflowError):
        for page in _tiff_pages(stream):
            first = first or page
            if not page.value(SUBFILE_TYPE, 0) & _REDUCED:
                return page
    return first or TiffPage(0, {})


def _tiff_pages(stream: Stream) -> Iterator[TiffPage]:
    stream.seek(0)
    head = stream.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(order + "H", head[2:4])[0] == 43  # noqa: PLR2004 - BigTIFF
    offset = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
    seen: set[int] = set()
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        seen.add(offset)
        tags, offset = _directory(stream, offset, order, big=big)
        yield TiffPage(len(seen) - 1, tags)


def _directory(
    stream: Stream, offset: int, order: str, *, big: bool
) -> tuple[dict[int, tuple[int, ...]], int]:
    count_code, entry, link = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    stream.seek(offset)
    count = struct.unpack(order + count_code, stream.read(struct.calcsize(order + count_code)))[0]
    if count > _MAX_ENTRIES:
        raise struct.error("too many tags")
    size = struct.calcsize(order + entry)
    body = stream.read(count * size)
    following = struct.unpack(order + link, stream.read(struct.calcsize(order + link)))[0]
    tags = {}
    for tag, kind, number, value in struct.iter_unpack(order + entry, body):
        if tag in _TAGS and kind in _WIDTHS:
            code = f"{order}{min(number, _MAX_VALUES)}{_WIDTHS[kind]}"
            length = struct.calcsize(code)
            if number * struct.calcsize(order + _WIDTHS[kind]) > len(value):
                stream.seek(struct.unpack(order + link, value)[0])
                value = stream.read(length)  # noqa: PLW2901
            tags[tag] = struct.unpack(code, value[:length])
    return tags, following


@dataclass(slots=True)
class PngHeader:
    """The chunks before the pixels that describe depth and colours. Numbers are as stored in the file."""

    depth: int = 8
    colour_type: int = 2
    interlaced: bool = False
    gamma: float | None = None
    chromaticities: tuple[float, ...] | None = None
    srgb: bool = False
    cicp: tuple[int, int] | None = None
    profile: bool = False
    transparency: bool = False
    kinds: set[bytes] = field(default_factory=set)


def read_png_header(stream: Stream) -> PngHeader:
    """The header of a PNG up to its pixels."""
    header = PngHeader()
    stream.seek(8)
    with suppress(struct.error, OSError):
        for _ in range(_MAX_CHUNKS):
            length, kind = struct.unpack(">I4s", stream.read(8))
            if kind in (b"IDAT", b"IEND"):
                break
            body = stream.read(min(length, 64))
            stream.seek(length - len(body) + 4, io.SEEK_CUR)
            with suppress(struct.error, IndexError):
                _read_chunk(header, kind, body)
    return header


def _read_chunk(header: PngHeader, kind: bytes, body: bytes) -> None:
    header.kinds.add(kind)
    match kind:
        case b"IHDR":
            header.depth, header.colour_type, header.interlaced = body[8], body[9], bool(body[12])
        case b"gAMA":
            header.gamma = struct.unpack(">I", body)[0] / 100_000
        case b"cHRM":
            header.chromaticities = tuple(value / 100_000 for value in struct.unpack(">8I", body))
        case b"sRGB":
            header.srgb = True
        case b"cICP":
            header.cicp = body[0], body[1]
        case b"iCCP":
            header.profile = True
        case b"tRNS":
            header.transparency = True


def read_nclx(stream: Stream) -> tuple[int, int] | None:
    """Primaries and transfer (ITU-T H.273) of the primary item of an AVIF or HEIC; None if not given.

    Only a `colr` box among the properties of the primary item counts, or the only one where no association is
    readable.
    """
    with suppress(struct.error, OSError, IndexError):
        meta = _top_level_meta(stream)
        boxes = dict(_boxes(meta[4:]))
        iprp = dict(_boxes(boxes.get(b"iprp", b"")))
        properties = list(_boxes(iprp.get(b"ipco", b"")))
        primary = struct.unpack_from(">H" if not boxes[b"pitm"][0] else ">I", boxes[b"pitm"], 4)[0]
        for index in _associations(iprp.get(b"ipma", b""), primary):
            kind, body = properties[index - 1]
            if kind == b"colr" and body[:4] == b"nclx":
                return struct.unpack_from(">HH", body, 4)
    return None


def has_deep_samples(stream: Stream) -> bool:
    """Whether an AVIF has more than 8 bits a sample, by the configuration of its decoder; True if unknown."""
    with suppress(OSError, IndexError):
        meta = _top_level_meta(stream)
        return bool(meta[meta.index(b"av1C") + 6] & _HIGH_BIT_DEPTH) if b"av1C" in meta else True
    return True


def _top_level_meta(stream: Stream) -> bytes:
    stream.seek(0)
    for _ in range(16):
        size, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"meta":
            return stream.read(min(max(size - 8, 0), _MAX_BOX_BYTES))
        if size < 8:  # noqa: PLR2004 - to the end of the file, or 64 bits long
            break
        stream.seek(size - 8, io.SEEK_CUR)
    return b""


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    offset = 0
    while offset + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, offset)
        if size < 8:  # noqa: PLR2004 - shorter than its own header
            return
        yield kind, data[offset + 8 : offset + size]
        offset += size


def _associations(ipma: bytes, item: int) -> list[int]:
    """Indexes of the properties of an item, from 1."""
    version, flags, count = ipma[0], ipma[3], struct.unpack_from(">I", ipma, 4)[0]
    offset = 8
    for _ in range(min(count, _MAX_ENTRIES)):
        found = struct.unpack_from(">I" if version else ">H", ipma, offset)[0]
        offset += 4 if version else 2
        number, offset = ipma[offset], offset + 1
        wide = bool(flags & 1)
        indexes = struct.unpack_from(f">{number}{'H' if wide else 'B'}", ipma, offset)
        offset += number * (2 if wide else 1)
        if found == item:
            return [index & (0x7FFF if wide else 0x7F) for index in indexes]
    return []


def read_first_gif_frame(stream: Stream) -> tuple[int, int, int, int] | None:
    """Left, top, width and height of the first frame of a GIF; None if it is not found."""
    with suppress(struct.error, OSError, IndexError):
        stream.seek(10)
        stream.seek(13 + _colour_table_bytes(stream.read(1)[0]))
        for _ in range(_MAX_CHUNKS):
            match stream.read(1):
                case b",":
                    left, top, width, height = struct.unpack("<4H", stream.read(8))
                    return left, top, width, height
                case b"!":
                    stream.seek(1, io.SEEK_CUR)
                    while length := stream.read(1)[0]:
                        stream.seek(length, io.SEEK_CUR)
                case _:
                    return None
    return None


def _colour_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 128 else 0


@dataclass(frozen=True, slots=True)
class WebpHeader:
    """How a WebP is coded."""

    lossless: bool
    alpha: bool
    animated: bool


def read_webp_header(stream: Stream) -> WebpHeader:
    """The coding of a WebP, by its first chunks."""
    stream.seek(0)
    head = stream.read(64)
    kind = head[12:16]
    flags = head[20] if kind == b"VP8X" and len(head) > 20 else 0  # noqa: PLR2004
    lossless = kind == b"VP8L" or b"VP8L" in head
    return WebpHeader(lossless, bool(flags & 16) or kind == b"VP8L", bool(flags & 2))

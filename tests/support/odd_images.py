"""Writers of unusual image files that no library writes: TIFF with any tags, chunks of PNG, segments of JPEG,
masks of BMP, codes of AVIF."""

import io
import struct
import zlib
from collections.abc import Mapping, Sequence

from PIL import Image

SIZE = WIDTH, HEIGHT = 64, 48

_TYPES = {"short": (3, "H"), "long": (4, "I"), "undefined": (7, "B"), "long8": (16, "Q")}
_STRIP_OFFSETS, _STRIP_BYTES = 273, 279

TiffTags = Mapping[int, tuple[str, Sequence[int]]]


def tiff(*pages: tuple[TiffTags, Sequence[bytes]], order: str = "<", big: bool = False) -> bytes:
    """A TIFF of pages: tags (type and values), and the bytes of the strips."""
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + ("HHHQ" if big else "HI"), *((43, 8, 0, 16) if big else (42, 8)))
    body = bytearray(head)
    for index, (tags, strips) in enumerate(pages):
        body += _tiff_page(dict(tags), strips, len(body), order, big=big, last=index == len(pages) - 1)
    return bytes(body)


def _tiff_page(
    tags: dict[int, tuple[str, Sequence[int]]],
    strips: Sequence[bytes],
    start: int,
    order: str,
    *,
    big: bool,
    last: bool,
) -> bytes:
    number, entry, link, inline = ("Q", "HHQ", "Q", 8) if big else ("H", "HHI", "I", 4)
    tags |= {
        _STRIP_OFFSETS: ("long", [0] * len(strips)),
        _STRIP_BYTES: ("long", [len(strip) for strip in strips]),
    }
    directory = struct.calcsize(order + number) + len(tags) * (
        len(struct.pack(order + entry, 0, 0, 0)) + inline
    )
    offset = start + directory + struct.calcsize(order + link)
    values = {}
    for tag, (kind, numbers) in sorted(tags.items()):
        values[tag] = len(numbers) * struct.calcsize(order + _TYPES[kind][1])
    extra_bytes = sum(size for size in values.values() if size > inline)
    position, offsets = offset + extra_bytes, []
    for strip in strips:
        offsets.append(position)
        position += len(strip)
    tags[_STRIP_OFFSETS] = ("long", offsets)
    entries, extra = b"", b""
    for tag, (kind, numbers) in sorted(tags.items()):
        code, letter = _TYPES[kind]
        packed = struct.pack(f"{order}{len(numbers)}{letter}", *numbers)
        if len(packed) > inline:
            pointer = struct.pack(order + link, offset + len(extra))
            extra += packed
        else:
            pointer = packed.ljust(inline, b"\0")
        entries += struct.pack(order + entry, tag, code, len(numbers)) + pointer
    following = struct.pack(order + link, 0 if last else position)
    return struct.pack(order + number, len(tags)) + entries + following + extra + b"".join(strips)


def tiff_tags(
    bits: Sequence[int], photometric: int, size: tuple[int, int] = SIZE, /, **more: int | Sequence[int]
) -> dict[int, tuple[str, Sequence[int]]]:
    """Tags of an uncompressed page; more: `orientation`, `planar`, `extra`, `sample_format`, `subfile`, ..."""
    numbers = {
        "subfile": (254, "long"),
        "orientation": (274, "short"),
        "planar": (284, "short"),
        "colour_map": (320, "short"),
        "extra": (338, "short"),
        "sample_format": (339, "short"),
        "profile": (34675, "undefined"),
    }
    tags: dict[int, tuple[str, Sequence[int]]] = {
        256: ("long", [size[0]]),
        257: ("long", [size[1]]),
        258: ("short", bits),
        259: ("short", [1]),
        262: ("short", [photometric]),
        277: ("short", [len(bits)]),
        278: ("long", [size[1]]),
    }
    for name, value in more.items():
        tag, kind = numbers[name]
        tags[tag] = (kind, [value] if isinstance(value, int) else value)
    return tags


def plain_tiff(
    code: str, pixel: Sequence[float], photometric: int, *, order: str = "<", big: bool = False, **more: int
) -> bytes:
    """A TIFF of one colour; `code` is the struct code of a sample."""
    bits = struct.calcsize("=" + code) * 8
    data = struct.pack(f"{order}{len(pixel)}{code}", *pixel) * (WIDTH * HEIGHT)
    return tiff((tiff_tags([bits] * len(pixel), photometric, SIZE, **more), [data]), order=order, big=big)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk with its checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(rows: bytes, depth: int, colour_type: int, *chunks: bytes, size: tuple[int, int] = SIZE) -> bytes:
    """A PNG of these rows (each begins with its filter), with chunks before the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    pixels = png_chunk(b"IDAT", zlib.compress(rows))
    end = png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + b"".join(chunks) + pixels + end


def plain_png(colour: tuple[int, int, int], *chunks: bytes) -> bytes:
    """A PNG of one colour with 8 bits a channel."""
    return png((b"\0" + bytes(colour) * WIDTH) * HEIGHT, 8, 2, *chunks)


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """A PNG with chunks after its header."""
    return data[:33] + b"".join(chunks) + data[33:]


def masked_bmp(bits: int, masks: Sequence[int], pixel: int, size: tuple[int, int] = SIZE) -> bytes:
    """A BMP of one colour with these bit masks (red, green, blue and perhaps alpha)."""
    width, height = size
    row = struct.pack("<I" if bits == 32 else "<H", pixel) * width
    row += b"\0" * (-len(row) % 4)
    info = 56 if len(masks) == 4 else 40
    header = struct.pack("<IiiHHIIiiII", info, width, height, 1, bits, 3, len(row) * height, 0, 0, 0, 0)
    packed = struct.pack(f"<{len(masks)}I", *masks)
    offset = 14 + len(header) + len(packed)
    return (
        struct.pack("<2sIHHI", b"BM", offset + len(row) * height, 0, 0, offset)
        + header
        + packed
        + row * height
    )


def avif(colour: tuple[int, ...], primaries: int = 1, transfer: int = 13) -> bytes:
    """An AVIF of one colour, which declares these codes of ITU-T H.273."""
    out = io.BytesIO()
    mode = "RGBA" if len(colour) == 4 else "RGB"
    Image.new(mode, SIZE, colour).save(out, "AVIF", quality=100, subsampling="4:4:4")
    data = out.getvalue()
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def avif_alpha_without_ispe(colour: tuple[int, int, int, int]) -> bytes:
    """An AVIF whose alpha has no size among its properties, as old encoders wrote it."""
    data = bytearray(avif(colour))
    at = data.index(b"ipma") + 4 + 4
    count = struct.unpack_from(">I", data, at)[0]
    at += 4
    for item in range(count):
        number = data[at + 2]
        if item == 1:
            data[at + 3] = data[at + 4]
        at += 3 + number
    return bytes(data)


def avif_with_exif_item(exif: bytes) -> bytes:
    """An AVIF with an item of EXIF that has these bytes."""
    properties, coded = _avif_parts()
    return _avif_of_items(properties, [(b"av01", coded), (b"Exif", exif)], _reference(b"cdsc", 2, 1))


def avif_with_gain_map() -> bytes:
    """An AVIF with a gain map, a second coded image, and the item that joins both (ISO 21496-1)."""
    properties, coded = _avif_parts()
    one, zero = (1, 1), (0, 1)
    channel = struct.pack(">10I", *zero, *one, *one, *zero, *zero)
    joined = struct.pack(">BHHB4I", 0, 0, 0, 0, *zero, *one) + channel
    items = [(b"av01", coded), (b"av01", coded), (b"tmap", joined)]
    group = _box(b"grpl", _box(b"altr", struct.pack(">5I", 0, 9, 2, 3, 1)))
    return _avif_of_items(properties, items, _reference(b"dimg", 3, 1, 2), group)


def _avif_parts() -> tuple[list[bytes], bytes]:
    """The properties and the coded image of an AVIF of one colour."""
    data = avif((200, 30, 60))
    at = data.index(b"ipco") + 4
    end = at - 8 + struct.unpack_from(">I", data, at - 8)[0]
    properties = []
    while at < end:
        length = struct.unpack_from(">I", data, at)[0]
        properties.append(data[at : at + length])
        at += length
    return properties, data[data.index(b"mdat") + 4 :]


def _avif_of_items(
    properties: Sequence[bytes], items: Sequence[tuple[bytes, bytes]], references: bytes, *groups: bytes
) -> bytes:
    """An AVIF whose first item is shown."""
    kinds = [one[4:8] for one in properties]
    # The codec's configuration is essential (the highest bit).
    of_coded = bytes(i | (0x80 if kind == b"av1C" else 0) for i, kind in enumerate(kinds, 1))
    of_kind = {b"av01": of_coded, b"tmap": bytes([kinds.index(b"ispe") + 1])}
    associations = [
        struct.pack(">HB", number, len(of_kind[kind])) + of_kind[kind]
        for number, (kind, _) in enumerate(items, 1)
        if kind in of_kind
    ]
    entries = b"".join(
        _box(b"infe", struct.pack(">IHH4sB", 2 << 24, number, 0, kind, 0))
        for number, (kind, _) in enumerate(items, 1)
    )
    head = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaftmap")

    def meta(start: int) -> bytes:
        places, offset = b"", start
        for number, (_, body) in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, offset, len(body))
            offset += len(body)
        return _box(
            b"meta",
            bytes(4) + _box(b"hdlr", bytes(8) + b"pict" + bytes(13)),
            _box(b"pitm", struct.pack(">IH", 0, 1)),
            _box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(items)) + places),
            _box(b"iinf", struct.pack(">IH", 0, len(items)) + entries),
            references,
            _box(
                b"iprp",
                _box(b"ipco", *properties),
                _box(b"ipma", struct.pack(">II", 0, len(associations)), *associations),
            ),
            *groups,
        )

    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", *(body for _, body in items))


def _reference(kind: bytes, source: int, *targets: int) -> bytes:
    entry = _box(kind, struct.pack(f">HH{len(targets)}H", source, len(targets), *targets))
    return _box(b"iref", bytes(4) + entry)


def _box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def jpeg_stored_as_rgb(colour: tuple[int, int, int], size: tuple[int, int] = (200, 150)) -> bytes:
    """A JPEG whose channels are red, green and blue."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", quality=95, keep_rgb=True)
    return out.getvalue()

"""Builders of metadata as cameras, programs and attackers write them: EXIF, XMP, IPTC, chunks of a PNG."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from fractions import Fraction

from tests.support import pictures

ExifValue = str | bytes | int | Sequence[Fraction]

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "lr": "http://ns.adobe.com/lightroom/1.0/",
    "digiKam": "http://www.digikam.org/ns/1.0/",
    "mail": "urn:mail:",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
}


def tiff(
    main: Mapping[int, ExifValue] | None = None,
    details: Mapping[int, ExifValue] | None = None,
    gps: Mapping[int, ExifValue] | None = None,
) -> bytes:
    """A big-endian TIFF structure with these tags in its main, Exif and GPS directories."""
    entries: dict[int, ExifValue] = dict(main or {})
    pointers = {0x8769: details, 0x8825: gps}
    entries |= {tag: 0 for tag, values in pointers.items() if values is not None}
    offset = 8 + len(_directory(entries, 8))
    parts = []
    for tag, values in pointers.items():
        if values is not None:
            entries[tag] = offset
            parts.append(_directory(values, offset))
            offset += len(parts[-1])
    return b"MM\0*\0\0\0\x08" + _directory(entries, 8) + b"".join(parts)


def _directory(entries: Mapping[int, ExifValue], offset: int) -> bytes:
    table, heap = b"", b""
    heap_offset = offset + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        kind, count, data = _encoded(value)
        if len(data) <= 4:
            inline = data.ljust(4, b"\0")
        else:
            inline = struct.pack(">I", heap_offset + len(heap))
            heap += data + b"\0" * (len(data) % 2)
        table += struct.pack(">HHI", tag, kind, count) + inline
    return struct.pack(">H", len(entries)) + table + b"\0\0\0\0" + heap


def _encoded(value: ExifValue) -> tuple[int, int, bytes]:
    if isinstance(value, str):
        data = value.encode() + b"\0"
        return 2, len(data), data
    if isinstance(value, bytes):
        return 1, len(value), value
    if isinstance(value, int):
        return 4, 1, struct.pack(">I", value)
    data = b"".join(struct.pack(">II", part.numerator, part.denominator) for part in value)
    return 5, len(value), data


def rationals(*values: float | str) -> list[Fraction]:
    """EXIF's rationals."""
    return [Fraction(value).limit_denominator(10_000) for value in values]


def jpeg_with_exif(
    main: Mapping[int, ExifValue] | None = None,
    details: Mapping[int, ExifValue] | None = None,
    gps: Mapping[int, ExifValue] | None = None,
) -> bytes:
    """A small JPEG with this EXIF."""
    return with_segments(segment(0xE1, b"Exif\0\0" + tiff(main, details, gps)))


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(*segments: bytes) -> bytes:
    """A small JPEG with these segments after its first marker."""
    plain = pictures.jpeg(64, 48)
    return plain[:2] + b"".join(segments) + plain[2:]


def xmp(properties: str, attributes: str = "") -> bytes:
    """An XMP packet with these properties, and the usual prefixes declared."""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items())
    return (
        f'<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/" {declared}>'
        f'<rdf:RDF><rdf:Description rdf:about="" {attributes}>{properties}</rdf:Description></rdf:RDF></x:xmpmeta>'
        '<?xpacket end="w"?>'
    ).encode()


def listed(name: str, *items: str, kind: str = "Bag") -> str:
    """A property with a list of items."""
    inner = "".join(f"<rdf:li>{item}</rdf:li>" for item in items)
    return f"<{name}><rdf:{kind}>{inner}</rdf:{kind}></{name}>"


def jpeg_with_xmp(properties: str, attributes: str = "") -> bytes:
    """A small JPEG with an XMP packet."""
    return with_segments(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp(properties, attributes)))


def iptc(*records: tuple[int, bytes]) -> bytes:
    """IPTC records of the application record (2)."""
    return b"".join(
        b"\x1c\x02" + bytes((kind,)) + struct.pack(">H", len(value)) + value for kind, value in records
    )


def image_resource(body: bytes, number: int = 0x0404) -> bytes:
    """An image resource of Photoshop."""
    return b"8BIM" + struct.pack(">HHI", number, 0, len(body)) + body + b"\0" * (len(body) % 2)


def jpeg_with_iptc(*records: tuple[int, bytes]) -> bytes:
    """A small JPEG with IPTC records."""
    return with_segments(segment(0xED, b"Photoshop 3.0\0" + image_resource(iptc(*records))))


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_text(keyword: str, text: bytes) -> bytes:
    """A text chunk of a PNG."""
    return png_chunk(b"tEXt", keyword.encode() + b"\0" + text)


def png_itxt(keyword: str, text: bytes, *, compressed: bool = False) -> bytes:
    """An international text chunk of a PNG."""
    body = zlib.compress(text) if compressed else text
    return png_chunk(b"iTXt", keyword.encode() + b"\0" + bytes((compressed, 0)) + b"\0\0" + body)


def raw_profile(kind: str, data: bytes) -> bytes:
    """A profile as ImageMagick writes it."""
    return png_text(f"Raw profile type {kind}", f"\n{kind}\n{len(data):8}\n{data.hex()}\n".encode())


def with_chunks(*chunks: bytes, late: bool = False) -> bytes:
    """A small PNG with these chunks before its pixels, or behind them if `late`."""
    plain = pictures.png(64, 48)
    position = plain.index(b"IEND" if late else b"IDAT") - 4
    return plain[:position] + b"".join(chunks) + plain[position:]


def gif_with_xmp(packet: bytes) -> bytes:
    """A GIF with an XMP packet before its image."""
    plain = pictures.encoded(pictures.gradient(64, 48), "GIF")
    trailer = bytes((1, *range(255, -1, -1), 0))
    position = 13 + (3 << (plain[10] & 7) + 1)
    return plain[:position] + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + plain[position:]


def riff_chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a WebP."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

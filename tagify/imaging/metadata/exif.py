"""EXIF: the wanted tags of a TIFF structure, read without parsing the others.

A directory may have 65,535 entries that all point at the same megabytes: only the values of wanted tags are
read, each once and bounded, so time and memory do not depend on the other entries. Every offset and type is
checked; a damaged directory has the values that can be read.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import BinaryIO

from tagify.imaging.metadata.iptc import decode_text
from tagify.imaging.metadata.limits import MAX_BLOCK_BYTES, MAX_TEXT

Value = str | bytes | tuple[int, ...] | tuple[float, ...]


class Tag(IntEnum):
    """Tags of the main directory and of its Exif directory."""

    MAKE = 0x010F
    MODEL = 0x0110
    ORIENTATION = 0x0112
    MODIFY_TIME = 0x0132
    XMP = 0x02BC
    IPTC = 0x83BB
    PHOTOSHOP = 0x8649
    EXIF_DIRECTORY = 0x8769
    GPS_DIRECTORY = 0x8825
    ORIGINAL_TIME = 0x9003
    DIGITIZED_TIME = 0x9004
    MODIFY_OFFSET = 0x9010
    ORIGINAL_OFFSET = 0x9011
    DIGITIZED_OFFSET = 0x9012
    MODIFY_SUBSECONDS = 0x9290
    ORIGINAL_SUBSECONDS = 0x9291
    DIGITIZED_SUBSECONDS = 0x9292
    XP_KEYWORDS = 0x9C9E
    LENS_MODEL = 0xA434


class GpsTag(IntEnum):
    """Tags of the GPS directory."""

    LATITUDE_REF = 1
    LATITUDE = 2
    LONGITUDE_REF = 3
    LONGITUDE = 4
    TIME = 7
    STATUS = 9
    DATE = 29


_BLOCKS = {Tag.XMP, Tag.IPTC, Tag.PHOTOSHOP, Tag.XP_KEYWORDS}
"""Tags whose values are bytes whatever type they declare: IPTC is often declared as LONG."""

_MAX_ENTRIES = 0xFFFF
_MAX_VALUE_BYTES = 4 * MAX_TEXT
_ASCII = 2
_FORMATS = {
    1: "B",
    3: "H",
    4: "I",
    6: "b",
    7: "B",
    8: "h",
    9: "i",
    11: "f",
    12: "d",
    13: "I",
    16: "Q",
    18: "Q",
}
_RATIONALS = {5: "I", 10: "i"}
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}


@dataclass(frozen=True, slots=True)
class Exif:
    """The wanted values of the main and Exif directories, and those of the GPS directory."""

    values: Mapping[int, Value] = field(default_factory=dict)
    gps: Mapping[int, Value] = field(default_factory=dict)

    def text(self, tag: Tag) -> str:
        """A text without padding; empty if the tag is absent or has another type."""
        value = self.values.get(tag, "")
        return value.strip("\0 ") if isinstance(value, str) else ""

    def block(self, tag: Tag) -> bytes:
        """The bytes of a block; empty if the tag is absent."""
        value = self.values.get(tag, b"")
        return value if isinstance(value, bytes) else b""


def read_exif(stream: BinaryIO, start: int = 0) -> Exif:
    """The EXIF of a TIFF structure that begins at `start` in the stream; empty if there is none."""
    reader = _TiffReader.opened(stream, start)
    if reader is None:
        return Exif()
    values = reader.directory(reader.first, set(Tag))
    details = reader.directory(_pointer(values.get(Tag.EXIF_DIRECTORY)), set(Tag) - {Tag.EXIF_DIRECTORY})
    gps = reader.directory(_pointer(values.get(Tag.GPS_DIRECTORY)), set(GpsTag))
    return Exif(details | values, gps)


def _pointer(value: Value | None) -> int:
    return int(value[0]) if isinstance(value, tuple) and value else 0


class _TiffReader:
    """Reads directories of classic TIFF and BigTIFF in either byte order."""

    def __init__(self, stream: BinaryIO, start: int, order: str, big: bool) -> None:
        self._stream, self._start, self._order = stream, start, order
        self._count, self._entry = (
            ("Q", struct.Struct(f"{order}HHQ8s")) if big else ("H", struct.Struct(f"{order}HHI4s"))
        )
        self._offset = "Q" if big else "I"
        self.first = 0

    @classmethod
    def opened(cls, stream: BinaryIO, start: int) -> "_TiffReader | None":
        """A reader with the offset of the first directory; None if the stream holds no TIFF structure."""
        stream.seek(start)
        head = stream.read(16)
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None or len(head) < 8:  # noqa: PLR2004
            return None
        version = struct.unpack_from(f"{order}H", head, 2)[0]
        if version not in (42, 43) or (version == 43 and len(head) < 16):  # noqa: PLR2004
            return None
        big = version == 43  # noqa: PLR2004
        reader = cls(stream, start, order, big)
        reader.first = struct.unpack_from(order + reader._offset, head, 8 if big else 4)[0]
        return reader

    def directory(self, offset: int, wanted: set[Tag] | set[GpsTag]) -> dict[int, Value]:
        """The wanted values of the directory at this offset; the first of each tag."""
        values: dict[int, Value] = {}
        count_size = struct.calcsize(self._order + self._count)
        head = self._read(offset, count_size) if offset else b""
        if len(head) < count_size:
            return values
        count = min(struct.unpack(self._order + self._count, head)[0], _MAX_ENTRIES)
        table = self._read(offset + count_size, count * self._entry.size)
        table = table[: len(table) // self._entry.size * self._entry.size]
        for tag, kind, length, inline in self._entry.iter_unpack(table):
            if tag in wanted and tag not in values and (value := self._value(tag, kind, length, inline)):
                values[tag] = value
        return values

    def _value(self, tag: int, kind: int, length: int, inline: bytes) -> Value | None:
        size = _SIZES.get(kind, 0) * length
        limit = MAX_BLOCK_BYTES if tag in _BLOCKS else _MAX_VALUE_BYTES
        if not 0 < size <= limit:
            return None
        if size <= len(inline):
            data = inline[:size]
        else:
            data = self._read(struct.unpack(self._order + self._offset, inline)[0], size)
        return data if tag in _BLOCKS else self._decoded(kind, data)

    def _decoded(self, kind: int, data: bytes) -> Value | None:
        if kind == _ASCII:
            return decode_text(data.split(b"\0", 1)[0] if data.strip(b"\0 ") else b"")
        if base := _RATIONALS.get(kind):
            parts = struct.unpack(f"{self._order}{len(data) // 8 * 2}{base}", data[: len(data) // 8 * 8])
            pairs = zip(parts[::2], parts[1::2], strict=True)
            return tuple(top / bottom if bottom else float("nan") for top, bottom in pairs)
        if form := _FORMATS.get(kind):
            size = struct.calcsize(self._order + form)
            count = len(data) // size
            return struct.unpack(f"{self._order}{count}{form}", data[: count * size])
        return None

    def _read(self, offset: int, size: int) -> bytes:
        try:
            self._stream.seek(self._start + offset)
            return self._stream.read(size)
        except (OSError, OverflowError, ValueError):
            return b""

"""IPTC records (IIM): keywords and the time of creation, from Photoshop's image resources or alone."""

import binascii
from collections.abc import Iterator
from dataclasses import dataclass

from tagify.imaging.metadata.limits import MAX_BLOCK_BYTES, MAX_KEYWORDS, MAX_TEXT

_MARKER = 0x1C
_HEADER = 5
_EXTENDED = 0x8000
"""Set in the length of a record that is longer than 32 KB; none that is read here is."""

_KEYWORD, _DATE, _TIME = (2, 25), (2, 55), (2, 60)
_MAX_RECORDS = 10_000
_RESOURCE = b"8BIM"
_IPTC_RESOURCE = 0x0404


@dataclass(frozen=True, slots=True)
class IptcRecords:
    """The records that are used; `created` is date and time as they are written, `20010203 040506+0200`."""

    keywords: tuple[str, ...] = ()
    created: str = ""


def read_iptc(data: bytes) -> IptcRecords:
    """The records of a block; it may start with image resources of Photoshop."""
    if data.startswith(_RESOURCE):
        data = next((body for number, body in image_resources(data) if number == _IPTC_RESOURCE), b"")
    keywords: list[str] = []
    date = time = ""
    for number, (kind, value) in enumerate(_records(data)):
        if number == _MAX_RECORDS:
            break
        if kind == _KEYWORD and len(keywords) < MAX_KEYWORDS:
            keywords.append(decode_text(value))
        elif kind == _DATE:
            date = date or decode_text(value)
        elif kind == _TIME:
            time = time or decode_text(value)
    return IptcRecords(tuple(keywords), f"{date} {time}".strip() if date else "")


def image_resources(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and bodies of the image resources of Photoshop (`8BIM`)."""
    position = 0
    while data[position : position + 4] == _RESOURCE and position + 12 <= len(data):
        number = int.from_bytes(data[position + 4 : position + 6], "big")
        name_length = data[position + 6]
        start = position + 6 + (name_length + 2) // 2 * 2
        length = int.from_bytes(data[start : start + 4], "big")
        yield number, data[start + 4 : start + 4 + length]
        position = start + 4 + length + length % 2


def raw_profile(text: str) -> bytes:
    """The bytes of a profile that ImageMagick writes into a text of a PNG: a name, a length, hex digits."""
    parts = text[: 2 * MAX_BLOCK_BYTES].split(maxsplit=2)
    try:
        return binascii.unhexlify("".join(parts[2].split())) if len(parts) > 2 else b""  # noqa: PLR2004
    except ValueError:
        return b""


def decode_text(value: bytes) -> str:
    """The text as UTF-8 if it is valid, else as cp1252: the encoding that a block declares is often wrong."""
    value = value[: 4 * MAX_TEXT].rstrip(b"\0")
    for encoding in ("utf-8", "cp1252"):
        try:
            return value.decode(encoding)
        except UnicodeDecodeError:
            continue
    return value.decode("latin-1")


def _records(data: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    position = 0
    while position + _HEADER <= len(data) and data[position] == _MARKER:
        length = int.from_bytes(data[position + 3 : position + _HEADER], "big")
        if length & _EXTENDED:
            return
        start = position + _HEADER
        yield (data[position + 1], data[position + 2]), data[start : start + length]
        position = start + length

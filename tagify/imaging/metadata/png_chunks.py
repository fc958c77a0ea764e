"""Metadata in the chunks of a PNG, wherever they stand: XMP, EXIF, IPTC, times.

Pillow reads chunks after the pixels only once it has decoded them, and refuses a file with a long text. Here
the chunks with pixels are skipped, and what is damaged or too large is left out.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from tagify.imaging.metadata.iptc import raw_profile
from tagify.imaging.metadata.limits import MAX_BLOCK_BYTES, MAX_TEXT

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAX_CHUNKS = 200_000
"""A PNG with chunks of 8 KB has as many only from 1.6 GB."""

_XMP = "XML:com.adobe.xmp"
_PROFILES = {
    "Raw profile type iptc": "iptc",
    "Raw profile type 8bim": "iptc",
    "Raw profile type exif": "exif",
    "Raw profile type APP1": "exif",
    "Raw profile type xmp": "xmp",
}
_TIMES = ("creation time", "create-date", "date:create")
_TEXT_KINDS = {b"tEXt", b"zTXt", b"iTXt"}
_TIME_BYTES = 7


@dataclass(slots=True)
class PngMetadata:
    """The blocks that were found; times as they are written."""

    xmp: bytes = b""
    exif: bytes = b""
    iptc: bytes = b""
    created: str = ""
    modified: str = ""


def read_png(stream: BinaryIO) -> PngMetadata:
    """The metadata of a PNG; empty for another format."""
    found = PngMetadata()
    budget = MAX_BLOCK_BYTES
    for kind, length in _chunks(stream):
        if length > budget:
            continue
        data = stream.read(length)
        budget -= length
        if kind == b"eXIf":
            found.exif = found.exif or data
        elif kind == b"tIME":
            found.modified = found.modified or _modified(data)
        else:
            keyword, value = _text(kind, data, budget)
            budget -= len(value)
            _record(found, keyword, value)
    return found


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """Kinds and lengths of the chunks of interest; the stream stands at the data of each."""
    stream.seek(0)
    if stream.read(len(_SIGNATURE)) != _SIGNATURE:
        return
    position = len(_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8 or head[4:] == b"IEND":  # noqa: PLR2004
            return
        length = int.from_bytes(head[:4], "big")
        kind = head[4:]
        if kind in _TEXT_KINDS or kind == b"eXIf" or (kind == b"tIME" and length == _TIME_BYTES):
            yield kind, length
        position += length + 12


def _record(found: PngMetadata, keyword: str, value: bytes) -> None:
    profile = _PROFILES.get(keyword)
    if keyword == _XMP:
        found.xmp = found.xmp or value
    elif keyword.lower() in _TIMES:
        found.created = found.created or value[:MAX_TEXT].decode("utf-8", "replace")
    elif profile is not None:
        block = raw_profile(value.decode("latin-1"))
        if profile == "exif" and block.startswith(b"http"):
            return
        setattr(found, profile, getattr(found, profile) or block)


def _text(kind: bytes, data: bytes, budget: int) -> tuple[str, bytes]:
    """Keyword and text of a text chunk; the text is empty if it is damaged or of no interest."""
    raw_keyword, _, rest = data.partition(b"\0")
    keyword = raw_keyword[:100].decode("latin-1")
    if keyword != _XMP and keyword not in _PROFILES and keyword.lower() not in _TIMES:
        return keyword, b""
    if kind == b"zTXt":
        return keyword, _inflate(rest[1:], budget)
    if kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        text = rest[2:].split(b"\0", 2)[-1]
        return keyword, _inflate(text, budget) if compressed else text
    return keyword, rest


def _inflate(data: bytes, budget: int) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, max(1, budget))
    except zlib.error:
        return b""


def _modified(data: bytes) -> str:
    """The time of a tIME chunk, which is in UTC."""
    year, (month, day, hour, minute, second) = int.from_bytes(data[:2], "big"), data[2:_TIME_BYTES]
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"

"""Files that end early: the length that a file should have by its structure, and a stream of that length.

Decoders of WebP, AVIF, HEIC and BMP refuse a file whose data are incomplete. With zeros for the missing
bytes they draw what there is. Structures that a cut has removed are not guessed. A lossless WebP of large
flat areas may be refused all the same: zeros may be a code that is not valid there.
"""

import io
import shutil
import struct
from collections.abc import Iterator
from contextlib import suppress

Stream = io.BytesIO | io.BufferedReader

MAX_PADDING = 64 << 20
"""Maximum number of missing bytes that are replaced, for a damaged length may be any number.
The estimate of memory counts them."""

_MAX_CHUNKS = 1000
_BMP_INFO_HEADER = 40
_FIRST_FRAME = {b"VP8 ", b"VP8L", b"ALPH", b"ANMF"}
"""Chunks of WebP with pixels of the first frame."""


def complete(stream: Stream, size: int) -> tuple[Stream, bool]:
    """The stream with zeros for its missing bytes, and whether pixels are missing; itself if it is whole."""
    stream.seek(0)
    head = stream.read(16)
    length, has_all_pixels = size, True
    with suppress(struct.error, OSError, IndexError):
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            length, has_all_pixels = _webp_length(stream, size)
        elif head[4:8] == b"ftyp":
            length, has_all_pixels = _isobmff_length(stream, size), False
        elif head[:2] == b"BM":
            length, has_all_pixels = _bmp_length(stream), False
    stream.seek(0)
    if not size < length <= size + MAX_PADDING:
        return stream, False
    padded = io.BytesIO()
    shutil.copyfileobj(stream, padded)
    stream.seek(0)
    # Writing past the end fills the gap with zeros.
    padded.seek(length - 1)
    padded.write(b"\0")
    if head[:4] == b"RIFF":
        # What followed the chunk that is cut is lost.
        padded.seek(4)
        padded.write(struct.pack("<I", length - 8))
    padded.seek(0)
    return padded, not has_all_pixels


def lacks_directory(stream: Stream, size: int) -> bool:
    """Whether the first directory of a TIFF begins behind the end of the file."""
    stream.seek(0)
    head = stream.read(16)
    with suppress(struct.error):
        order = {b"II": "<", b"MM": ">"}.get(head[:2])
        if order is None:
            return False
        version = struct.unpack(order + "H", head[2:4])[0]
        if version == 42:  # noqa: PLR2004 - TIFF
            return bool(struct.unpack(order + "I", head[4:8])[0] >= size - 2)
        if version == 43:  # noqa: PLR2004 - BigTIFF
            return bool(struct.unpack(order + "Q", head[8:16])[0] >= size - 8)
    return False


def _webp_length(stream: Stream, size: int) -> tuple[int, bool]:
    """The end of the chunk that is cut, and whether the first frame is before it."""
    frames = 0
    for kind, start, length in _riff_chunks(stream, size):
        end = start + length
        padded_end = end + length % 2
        frames += kind == b"ANMF"
        if padded_end > size:
            return padded_end, end == size or kind not in _FIRST_FRAME or frames > 1
    return size, True


def _riff_chunks(stream: Stream, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, offset and length of the data of each chunk that begins within the file."""
    offset = 12
    for _ in range(_MAX_CHUNKS):
        if offset + 8 > size:
            return
        kind, length = struct.unpack("<4sI", _read_at(stream, offset, 8))
        yield kind, offset + 8, length
        offset += 8 + length + length % 2


def _isobmff_length(stream: Stream, size: int) -> int:
    """The end of the box with the coded images, if it is the box that is cut."""
    offset = 0
    for _ in range(_MAX_CHUNKS):
        length, kind = struct.unpack(">I4s", _read_at(stream, offset, 8))
        if length == 1:
            length = struct.unpack(">Q", _read_at(stream, offset + 8, 8))[0]
        if length < 8:  # noqa: PLR2004 - to the end of the file, or damaged
            break
        if offset + length > size:
            return offset + length if kind == b"mdat" else size
        offset += length
    return size


def _bmp_length(stream: Stream) -> int:
    """The end of the rows; by the file's header if they are compressed."""
    header = _read_at(stream, 0, 34)
    total, offset, info = struct.unpack("<I4xII", header[2:18])
    if info < _BMP_INFO_HEADER:
        return 0
    width, height, _, bits, compression = struct.unpack("<iiHHI", header[18:34])
    if compression in (1, 2):
        return int(total)
    return int(offset + (abs(width) * bits + 31) // 32 * 4 * abs(height))


def _read_at(stream: Stream, offset: int, length: int) -> bytes:
    stream.seek(offset)
    return stream.read(length)

"""Removes excess metadata segments of a JPEG before a decoder reads them.

Pillow joins the EXIF segments of a file one by one, which takes quadratic time, and keeps every segment. A
JPEG has a few; only the first ones are passed on, of EXIF and of all application segments.
"""

import bisect
import io
from collections.abc import Iterator
from typing import BinaryIO

from tagify.errors import Undecodable

_START = b"\xff\xd8"
_EXIF = b"Exif\0"
_APPLICATION = range(0xE0, 0xF0)
_COMMENT, _SCAN, _END = 0xFE, 0xDA, 0xD9
_WITHOUT_LENGTH = {0x01, 0xFF, *range(0xD0, 0xD9)}

MAX_EXIF_SEGMENTS = 64
"""EXIF segments of a file: 4 MB. One is usual."""

MAX_SEGMENTS = 4096
"""Application segments and comments of a file: 256 MB. Depth maps in XMP take some hundred."""

_MAX_GAPS = 1000
_BUFFER_BYTES = 64 << 10

Span = tuple[int, int]
"""Start and end of a part of a file, in bytes."""


def without_excess_segments(stream: BinaryIO) -> BinaryIO:
    """The stream of a file without excess metadata; the same stream, at its start, if there is none.

    Raises Undecodable if a JPEG has excess segments in too many places.
    """
    stream.seek(0)
    gaps = _gaps(stream) if stream.read(len(_START)) == _START else []
    stream.seek(0)
    if not gaps:
        return stream
    return io.BufferedReader(_StreamWithGaps(stream, gaps), _BUFFER_BYTES)


def _gaps(stream: BinaryIO) -> list[Span]:
    """The spans to leave out, in order; adjacent segments are one span."""
    gaps: list[Span] = []
    for start, end in _excess(stream):
        if gaps and gaps[-1][1] == start:
            gaps[-1] = gaps[-1][0], end
        elif len(gaps) == _MAX_GAPS:
            raise Undecodable("the metadata of the image are in too many parts")
        else:
            gaps.append((start, end))
    return gaps


def _excess(stream: BinaryIO) -> Iterator[Span]:
    """The spans of the segments to leave out."""
    exif_segments = segments = 0
    for marker, start, end in _segments(stream):
        if marker not in _APPLICATION and marker != _COMMENT:
            continue
        segments += 1
        exif_segments += stream.read(len(_EXIF)) == _EXIF
        if segments > MAX_SEGMENTS or exif_segments > MAX_EXIF_SEGMENTS:
            yield start, end


def _segments(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of the segments before the pixels; the stream stands at the body of each."""
    position = len(_START)
    while True:
        stream.seek(position)
        head = stream.read(4)
        if len(head) < 4 or head[0] != 0xFF or head[1] in (_SCAN, _END):  # noqa: PLR2004
            return
        if head[1] in _WITHOUT_LENGTH:
            position += 1 if head[1] == 0xFF else 2  # noqa: PLR2004
            continue
        end = position + 2 + int.from_bytes(head[2:], "big")
        yield head[1], position, end
        position = end


class _StreamWithGaps(io.RawIOBase):
    """A seekable view of a stream without some of its spans, which are in order."""

    def __init__(self, stream: BinaryIO, gaps: list[Span]) -> None:
        self._stream = stream
        size = stream.seek(0, io.SEEK_END)
        starts = [0, *(end for _, end in gaps)]
        ends = [*(start for start, _ in gaps), size]
        self._spans = [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]
        self._offsets: list[int] = []
        self._size = 0
        for start, end in self._spans:
            self._offsets.append(self._size)
            self._size += end - start
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        index = bisect.bisect_right(self._offsets, self._position) - 1
        start, end = self._spans[index]
        within = self._position - self._offsets[index]
        self._stream.seek(start + within)
        data = self._stream.read(min(len(buffer), end - start - within))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

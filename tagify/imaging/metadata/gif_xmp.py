"""The XMP packet of a GIF, which stands in an application extension."""

from typing import BinaryIO

from tagify.imaging.metadata.limits import MAX_BLOCK_BYTES

_HEADER_BYTES = 13
_EXTENSION, _IMAGE, _APPLICATION = 0x21, 0x2C, 0xFF
_NAME = b"\x0bXMP DataXMP"


def read_gif_xmp(stream: BinaryIO) -> bytes:
    """The first XMP packet of a GIF, with its trailer; empty if the first megabytes hold none."""
    stream.seek(0)
    data = stream.read(MAX_BLOCK_BYTES)
    position = _HEADER_BYTES + _colour_table_bytes(data[10:11])
    while position + 10 <= len(data):
        if data[position] == _EXTENSION:
            start = position + 2
            is_xmp = data[position + 1] == _APPLICATION and data[start : start + len(_NAME)] == _NAME
            position = _end_of_blocks(data, start)
            if is_xmp:
                return data[start + len(_NAME) : position]
        elif data[position] == _IMAGE:
            position = _end_of_blocks(
                data, position + 11 + _colour_table_bytes(data[position + 9 : position + 10])
            )
        else:
            break
    return b""


def _colour_table_bytes(flags: bytes) -> int:
    """Length of the colour table that these flags announce."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0


def _end_of_blocks(data: bytes, position: int) -> int:
    """The position behind a sequence of blocks, each with its length before it."""
    while position < len(data) and data[position]:
        position += data[position] + 1
    return position + 1

"""A value of the cache as a file: a block that says what it is, then the bytes of the body."""

import struct
import zlib
from dataclasses import dataclass

BLOCK = 256
"""Length of the block before the body, in bytes."""

_HEAD = struct.Struct(">4sIQHH")
_MAGIC = b"TGY1"


@dataclass(frozen=True, slots=True)
class Entry:
    """The body of an answer and its media type."""

    mime: str
    body: bytes | bytearray


class Damaged(Exception):
    """A file that is not what was written, or is another key's."""


def block(key: str, entry: Entry) -> bytes:
    """What goes before the body. Raises ValueError where key and type are too long for it."""
    name, mime = key.encode(), entry.mime.encode()
    checksum = zlib.crc32(entry.body, zlib.crc32(name + mime))
    head = _HEAD.pack(_MAGIC, checksum, len(entry.body), len(name), len(mime))
    if len(head) + len(name) + len(mime) > BLOCK:
        raise ValueError(f"the key is too long: {key}")
    return (head + name + mime).ljust(BLOCK, b"\0")


def entry_of(key: str, before: bytes | bytearray, body: bytes | bytearray) -> Entry:
    """The entry that a file holds. Raises Damaged.

    A checksum, since a disk that was full or lost power leaves files of the right length; and the
    key, since whatever has this name must not be served as another content.
    """
    try:
        magic, checksum, length, name_length, mime_length = _HEAD.unpack_from(before)
    except struct.error as error:
        raise Damaged("no block") from error
    start, middle = _HEAD.size, _HEAD.size + name_length
    end = middle + mime_length
    if magic != _MAGIC or length != len(body) or before[start:middle] != key.encode():
        raise Damaged("another file")
    if checksum != zlib.crc32(body, zlib.crc32(before[start:end])):
        raise Damaged("other bytes")
    return Entry(before[middle:end].decode("ascii", "replace"), body)

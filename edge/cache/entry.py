"""A value of the cache as a file: a block that says what it is, then the bytes of the body."""

import struct
import zlib
from dataclasses import dataclass

HEADER_BYTES = 256
"""Length of the block before the body, in bytes."""

_FIELDS = struct.Struct(">4sIQHH")
_MAGIC = b"TGY1"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The body of an answer and its media type."""

    mime: str
    body: bytes | bytearray


class CorruptEntry(Exception):
    """A file that is not what was written, or is another key's."""


def encode_header(key: str, entry: CacheEntry) -> bytes:
    """What goes before the body. Raises ValueError where key and type are too long for it."""
    key_bytes, mime_bytes = key.encode(), entry.mime.encode()
    checksum = zlib.crc32(entry.body, zlib.crc32(key_bytes + mime_bytes))
    fields = _FIELDS.pack(_MAGIC, checksum, len(entry.body), len(key_bytes), len(mime_bytes))
    if len(fields) + len(key_bytes) + len(mime_bytes) > HEADER_BYTES:
        raise ValueError(f"the key is too long: {key}")
    return (fields + key_bytes + mime_bytes).ljust(HEADER_BYTES, b"\0")


def decode_entry(key: str, header: bytes | bytearray, body: bytes | bytearray) -> CacheEntry:
    """The entry that a file holds. Raises Damaged.

    A checksum, since a disk that was full or lost power leaves files of the right length; and the
    key, since whatever has this name must not be served as another content.
    """
    try:
        magic, checksum, length, key_length, mime_length = _FIELDS.unpack_from(header)
    except struct.error as error:
        raise CorruptEntry("no block") from error
    key_start, mime_start = _FIELDS.size, _FIELDS.size + key_length
    mime_end = mime_start + mime_length
    if magic != _MAGIC or length != len(body) or header[key_start:mime_start] != key.encode():
        raise CorruptEntry("another file")
    if checksum != zlib.crc32(body, zlib.crc32(header[key_start:mime_end])):
        raise CorruptEntry("other bytes")
    return CacheEntry(header[mime_start:mime_end].decode("ascii", "replace"), body)

"""The file format of a cache entry: a header of fixed length, then the body."""

import struct
import zlib
from dataclasses import dataclass

HEADER_BYTES = 256
"""Length of the header, in bytes."""

_FIELDS = struct.Struct(">4sIQHH")
_MAGIC = b"TGY1"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """The body of a response and its media type."""

    mime: str
    body: bytes | bytearray


class CorruptEntry(Exception):
    """A file whose bytes differ from those written, or that belongs to another key."""


def encode_header(key: str, entry: CacheEntry) -> bytes:
    """The header of an entry. Raises ValueError where key and media type do not fit."""
    key_bytes, mime_bytes = key.encode(), entry.mime.encode()
    checksum = zlib.crc32(entry.body, zlib.crc32(key_bytes + mime_bytes))
    fields = _FIELDS.pack(_MAGIC, checksum, len(entry.body), len(key_bytes), len(mime_bytes))
    if len(fields) + len(key_bytes) + len(mime_bytes) > HEADER_BYTES:
        raise ValueError(f"cache key too long: {key}")
    return (fields + key_bytes + mime_bytes).ljust(HEADER_BYTES, b"\0")


def decode_entry(key: str, header: bytes | bytearray, body: bytes | bytearray) -> CacheEntry:
    """The entry in a file. Raises CorruptEntry.

    The checksum finds files of the right length with wrong bytes, as a full disk or a power loss leaves
    them. The key is compared, so that a misplaced file is never served as another content.
    """
    try:
        magic, checksum, length, key_length, mime_length = _FIELDS.unpack_from(header)
    except struct.error as error:
        raise CorruptEntry("the header is too short") from error
    key_start, mime_start = _FIELDS.size, _FIELDS.size + key_length
    mime_end = mime_start + mime_length
    if magic != _MAGIC or length != len(body) or header[key_start:mime_start] != key.encode():
        raise CorruptEntry("wrong key or length")
    if checksum != zlib.crc32(body, zlib.crc32(header[key_start:mime_end])):
        raise CorruptEntry("wrong checksum")
    return CacheEntry(header[mime_start:mime_end].decode("ascii", "replace"), body)

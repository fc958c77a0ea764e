"""Results of a worker as bytes: metadata as JSON behind their length, then the thumb.

A malicious file may have taken over the worker that packed them, so unpacking checks each field's type and
range: what is read here is written to the catalog and sent to browsers.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from tagify.errors import TagifyError
from tagify.model import DecodedOriginal, GeoPosition, Picture
from tagify.tagnames import normalize_keywords

MAX_RESULT_BYTES = 16 << 20
"""Maximum size of metadata and thumb, in bytes. A thumb without compression is 1 MB."""

MAX_KEYWORDS = 2000
"""Maximum number of keywords that are returned for a file; further ones are left out."""

MAX_PLACEHOLDER_BYTES = 64
MAX_NAME_LENGTH = 200
MAX_SIDE = (1 << 31) - 1
MAX_METADATA_BYTES = 2 << 20

ORIGINAL_MIMES = frozenset(
    f"image/{name}" for name in ("jpeg", "png", "gif", "webp", "bmp", "tiff", "avif", "heic")
)
"""Media types of originals."""

_THUMB_SIGNATURES = {"image/jpeg": (0, b"\xff\xd8\xff"), "image/webp": (8, b"WEBP")}
"""Media types of thumbs, and the bytes at an offset by which a browser would recognise them."""

_LENGTH = struct.Struct(">I")


class InvalidResult(TagifyError):
    """A result has a field of a wrong type or range."""


def pack_original(original: DecodedOriginal) -> bytes:
    """An original's metadata and thumb."""
    picture = original.picture
    position = picture.position
    metadata = orjson.dumps(
        {
            "mime": picture.mime,
            "width": picture.width,
            "height": picture.height,
            "placeholder": picture.placeholder.hex(),
            "taken_at": picture.taken_at and picture.taken_at.isoformat(),
            "keywords": _encodable(picture.keywords),
            "camera": picture.camera,
            "lens": picture.lens,
            "position": position and [position.latitude, position.longitude],
            "frames": picture.frames,
            "damaged": picture.damaged,
            "thumb_mime": original.thumb_mime,
        }
    )
    return b"".join((_LENGTH.pack(len(metadata)), metadata, original.thumb))


def unpack_original(data: bytes) -> DecodedOriginal:
    """The inverse of `pack_original`. Raises InvalidResult."""
    try:
        (length,) = _LENGTH.unpack_from(data)
        end = _LENGTH.size + length
        _require(length <= MAX_METADATA_BYTES and end <= len(data))
        fields = orjson.loads(data[_LENGTH.size : end])
        picture = Picture(**{name: read(fields[name]) for name, read in _FIELDS.items()})
        return DecodedOriginal(picture, *_read_thumb(fields["thumb_mime"], data[end:]))
    except (LookupError, TypeError, ValueError, OverflowError, struct.error) as error:
        raise InvalidResult(f"invalid result: {error}") from error


def pack_keywords(keywords: tuple[str, ...]) -> bytes:
    """The keywords of a sidecar."""
    return orjson.dumps(_encodable(keywords))


def unpack_keywords(data: bytes) -> tuple[str, ...]:
    """The inverse of `pack_keywords`. Raises InvalidResult."""
    try:
        _require(len(data) <= MAX_METADATA_BYTES)
        return _read_keywords(orjson.loads(data))
    except ValueError as error:
        raise InvalidResult(f"invalid result: {error}") from error


def _encodable(keywords: tuple[str, ...]) -> list[str]:
    """The first keywords, and those alone that are valid Unicode."""
    return [keyword for keyword in keywords[:MAX_KEYWORDS] if keyword.isascii() or _is_unicode(keyword)]


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError("out of range")


def _read_mime(value: object) -> str:
    _require(isinstance(value, str) and value in ORIGINAL_MIMES)
    return str(value)


def _read_count(value: object) -> int:
    if type(value) is not int or not 0 < value <= MAX_SIDE:
        raise ValueError("out of range")
    return value


def _read_placeholder(value: object) -> bytes:
    placeholder = bytes.fromhex(value) if isinstance(value, str) else b""
    _require(0 < len(placeholder) <= MAX_PLACEHOLDER_BYTES)
    return placeholder


def _read_time(value: object) -> datetime | None:
    if value is None:
        return None
    time = datetime.fromisoformat(value) if isinstance(value, str) else None
    _require(time is not None and time.tzinfo is not None)
    return time


def _read_keywords(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_KEYWORDS:
        raise ValueError("out of range")
    _require(all(isinstance(keyword, str) for keyword in value))
    return normalize_keywords(value)


def _read_name(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_NAME_LENGTH:
        raise ValueError("out of range")
    _require(not value or value.isprintable())
    return value


def _read_flag(value: object) -> bool:
    _require(isinstance(value, bool))
    return bool(value)


def _read_position(value: object) -> GeoPosition | None:
    if value is None:
        return None
    latitude, longitude = map(float, value) if isinstance(value, list) else (180.0, 0.0)
    _require(abs(latitude) <= 90 and abs(longitude) <= 180)  # noqa: PLR2004 - degrees
    return GeoPosition(latitude, longitude)


_FIELDS: Mapping[str, Callable[[object], Any]] = {
    "mime": _read_mime,
    "width": _read_count,
    "height": _read_count,
    "placeholder": _read_placeholder,
    "taken_at": _read_time,
    "keywords": _read_keywords,
    "camera": _read_name,
    "lens": _read_name,
    "position": _read_position,
    "frames": _read_count,
    "damaged": _read_flag,
}
"""The fields of a Picture, and the function that checks each."""


def _read_thumb(mime: str, thumb: bytes) -> tuple[bytes, str]:
    offset, signature = _THUMB_SIGNATURES[mime]
    _require(thumb[offset : offset + len(signature)] == signature)
    return thumb, mime

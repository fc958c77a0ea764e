"""Keyset pagination cursors: opaque to clients, versioned, bound to one filter and sort order."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tagify.catalog import ImageFilter, KeysetPosition, Sort
from tagify.errors import BadRequest
from tagify.model import ImageId

_VERSION = 2
_ID_BYTES = 12
_CHECKSUM_BYTES = 8
_HEAD_BYTES = 1 + _CHECKSUM_BYTES + _ID_BYTES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class CursorCodec:
    """Encodes and decodes the cursors of one list: a filter and a sort order."""

    image_filter: ImageFilter
    sort: Sort

    def encode(self, position: KeysetPosition) -> str:
        """The cursor of a position, in URL-safe base64 without padding."""
        body = bytes.fromhex(position.id) + _pack_value(position)
        raw = bytes((_VERSION,)) + self._checksum(body) + body
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def decode(self, text: str) -> KeysetPosition:
        """The position of a cursor. Raises BadRequest when the cursor is damaged or of another list."""
        raw = _base64_decode(text)
        if raw[:1] != bytes((_VERSION,)):
            raise BadRequest("the cursor is of another version: start again without a cursor")
        checksum, body = raw[1 : 1 + _CHECKSUM_BYTES], raw[1 + _CHECKSUM_BYTES :]
        if len(raw) < _HEAD_BYTES or checksum != self._checksum(body):
            raise BadRequest(
                "the cursor is damaged, or belongs to another filter or sort: start again without a cursor"
            )
        try:
            return KeysetPosition(self._unpack_value(body[_ID_BYTES:]), ImageId(body[:_ID_BYTES].hex()))
        except (ValueError, OverflowError) as error:
            raise BadRequest(
                "the cursor is not a position in this list: start again without a cursor"
            ) from error

    def _unpack_value(self, value: bytes) -> datetime | str | None:
        match self.sort:
            case Sort.NEWEST:
                return None
            case Sort.TAKEN_AT:
                return _EPOCH + int.from_bytes(value, "big", signed=True) * _MILLISECOND
            case Sort.PATH:
                return value.decode()

    def _checksum(self, body: bytes) -> bytes:
        """Detects mistakes, not forgery: a forged cursor shows nothing that the filter does not."""
        return hashlib.blake2b(body + self._list_id().encode(), digest_size=_CHECKSUM_BYTES).digest()

    def _list_id(self) -> str:
        """Identifies the list in the checksum. Part of the format: a change invalidates issued cursors."""
        return f"Cursors(which={self.image_filter!r}, sort={self.sort!r})"


def _pack_value(position: KeysetPosition) -> bytes:
    match position.value:
        case None:
            return b""
        case datetime():
            return ((position.value - _EPOCH) // _MILLISECOND).to_bytes(8, "big", signed=True)
        case str():
            return position.value.encode()


def _base64_decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadRequest("the cursor is damaged: start again without a cursor") from error
    # Only the canonical spelling is valid: no padding, unused bits zero.
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        raise BadRequest("the cursor is damaged: start again without a cursor")
    return raw

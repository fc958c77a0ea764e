"""Where a walk over pages goes on: opaque to clients, versioned, bound to the list it came from."""

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
_SUM_BYTES = 8
_HEAD_BYTES = 1 + _SUM_BYTES + _ID_BYTES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Cursors:
    """The cursors of one list: of a filter in an order, and of no other."""

    which: ImageFilter
    sort: Sort

    def encode(self, place: KeysetPosition) -> str:
        """The text that a client gives back with the same filter and order."""
        body = bytes.fromhex(place.id) + _packed(place)
        raw = bytes((_VERSION,)) + self._sum(body) + body
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def decode(self, text: str) -> KeysetPosition:
        """The place behind a text. Raises BadRequest with the reason when it is none of this list."""
        raw = _bytes_of(text)
        if raw[:1] != bytes((_VERSION,)):
            raise BadRequest("the cursor is of another version: start again without it")
        told, body = raw[1 : 1 + _SUM_BYTES], raw[1 + _SUM_BYTES :]
        if len(raw) < _HEAD_BYTES or told != self._sum(body):
            raise BadRequest(
                "the cursor is damaged, or belongs to another filter or sort: start again without it"
            )
        try:
            return KeysetPosition(self._unpacked(body[_ID_BYTES:]), ImageId(body[:_ID_BYTES].hex()))
        except (ValueError, OverflowError) as error:
            raise BadRequest("the cursor is of no place in this list: start again without it") from error

    def _unpacked(self, value: bytes) -> datetime | str | None:
        match self.sort:
            case Sort.NEWEST:
                return None
            case Sort.TAKEN_AT:
                return _EPOCH + int.from_bytes(value, "big", signed=True) * _MILLISECOND
            case Sort.PATH:
                return value.decode()

    def _sum(self, body: bytes) -> bytes:
        """Finds mistakes, keeps no secret: whoever forges a cursor sees what the filter shows anyway."""
        return hashlib.blake2b(body + repr(self).encode(), digest_size=_SUM_BYTES).digest()


def _packed(place: KeysetPosition) -> bytes:
    match place.value:
        case None:
            return b""
        case datetime():
            return ((place.value - _EPOCH) // _MILLISECOND).to_bytes(8, "big", signed=True)
        case str():
            return place.value.encode()


def _bytes_of(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadRequest("the cursor is damaged: start again without it") from error
    # The same bytes have one spelling: no padding, no spare bits.
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != text:
        raise BadRequest("the cursor is damaged: start again without it")
    return raw

"""Where a walk over pages goes on: opaque to clients, versioned, bound to the filter it came from."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from tagify.catalog import ImageFilter
from tagify.errors import BadRequest
from tagify.model import ImageId

_VERSION = 1
_ID_BYTES = 12
_SUM_BYTES = 8  # with version and id a multiple of 3: no padding, no spare bits


@dataclass(frozen=True, slots=True)
class Cursor:
    """The image at the edge of a page."""

    image: ImageId

    def encode(self, which: ImageFilter) -> str:
        """The text that a client gives back with the same filter."""
        body = bytes((_VERSION,)) + bytes.fromhex(self.image)
        return base64.urlsafe_b64encode(body + _sum(body, which)).decode()


def decode(text: str, which: ImageFilter) -> Cursor:
    """The cursor behind a text. Raises BadRequest with the reason when it is not one of this filter's."""
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise BadRequest("the cursor is damaged: start again without it") from error
    if base64.urlsafe_b64encode(raw).decode() != text:
        raise BadRequest("the cursor is damaged: start again without it")
    if raw[:1] != bytes((_VERSION,)):
        raise BadRequest("the cursor is of another version: start again without it")
    body, told = raw[: 1 + _ID_BYTES], raw[1 + _ID_BYTES :]
    if len(body) != 1 + _ID_BYTES or told != _sum(body, which):
        raise BadRequest("the cursor is damaged or belongs to another filter: start again without it")
    return Cursor(ImageId(body[1:].hex()))


def _sum(body: bytes, which: ImageFilter) -> bytes:
    """Finds mistakes, keeps no secret: whoever forges a cursor sees what the filter shows anyway."""
    return hashlib.blake2b(body + repr(which).encode(), digest_size=_SUM_BYTES).digest()

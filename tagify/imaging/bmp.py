"""BMP with bit masks of any width, which no decoder here reads: 16 or 32 bits a pixel, also with alpha."""

import io
import struct
from dataclasses import dataclass

import pyvips

_BITFIELDS, _ALPHA_BITFIELDS = 3, 6
_SIGNED_MAX = 0x7FFFFFFF
_INFO_HEADER, _WITH_ALPHA_MASK = 40, 56


@dataclass(frozen=True, slots=True)
class MaskedBitmap:
    """Geometry and masks (red, green, blue, alpha; alpha 0: none) of a BMP of 16 or 32 bits a pixel."""

    width: int
    height: int
    bottom_up: bool
    bits: int
    offset: int
    masks: tuple[int, int, int, int]

    @property
    def row_bytes(self) -> int:
        """Length of a row, which is padded to four bytes."""
        return (self.width * self.bits + 31) // 32 * 4


def read_masks(stream: io.BytesIO | io.BufferedReader) -> MaskedBitmap | None:
    """The header of a BMP with masks; None for any other BMP and for a damaged one."""
    stream.seek(0)
    head = stream.read(14 + 124 + 16)
    try:
        offset, size, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", head, 10)
        number = 4 if size >= _WITH_ALPHA_MASK or compression == _ALPHA_BITFIELDS else 3
        masks = struct.unpack_from(f"<{number}I", head, 14 + _INFO_HEADER)
    except struct.error:
        return None
    if compression not in (_BITFIELDS, _ALPHA_BITFIELDS) or bits not in (16, 32) or width <= 0 or not height:
        return None
    if size < _INFO_HEADER or not any(masks[:3]):
        return None
    return MaskedBitmap(width, abs(height), height > 0, bits, offset, (*masks, 0)[:4])


def decode(stream: io.BytesIO | io.BufferedReader, bitmap: MaskedBitmap) -> pyvips.Image:
    """The image as 8-bit RGB or RGBA; missing rows are black."""
    stream.seek(bitmap.offset)
    length = bitmap.row_bytes * bitmap.height
    data = stream.read(length).ljust(length, b"\0")
    form = "uint" if bitmap.bits == 32 else "ushort"  # noqa: PLR2004
    stored = bitmap.row_bytes * 8 // bitmap.bits
    words = pyvips.Image.new_from_memory(data, stored, bitmap.height, 1, form)
    words = words.crop(0, 0, bitmap.width, bitmap.height)
    if bitmap.bottom_up:
        words = words.flipver()
    red, green, blue, alpha = (_channel(words, mask) for mask in bitmap.masks)
    bands = [green, blue, alpha] if bitmap.masks[3] else [green, blue]
    return red.bandjoin(bands).copy(interpretation="srgb")


def _channel(words: pyvips.Image, mask: int) -> pyvips.Image:
    if not mask:
        return (words * 0).cast("uchar")
    # Shifted before it is masked: constants of libvips are signed.
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    return (((words >> shift) & min(top, _SIGNED_MAX)) * (255.0 / top)).rint().cast("uchar")

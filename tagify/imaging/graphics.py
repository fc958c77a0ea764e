"""Recognition of small, flat and palette pictures, which lossy encoding with reduced chroma would spoil."""

from enum import Enum

from PIL import Image

SMALL_SIDE = 64
"""Longest side, in pixels, up to which a picture is stored without loss: it is seen pixel by pixel, and takes
at most some 15 kB."""

MAX_COLOURS = 256
"""Number of colours up to which a picture is stored without loss: as many as a palette has. It takes
fewer bytes than with loss."""

_EDGES_SIDE = 256
_NEIGHBOURS_EQUAL = 0.5


class Fidelity(Enum):
    """How exactly a picture has to be encoded."""

    PHOTO = "photo"
    """With loss and reduced chroma."""
    GRAPHIC = "graphic"
    """With loss, but full chroma: sharp edges between colours."""
    EXACT = "exact"
    """Without loss, where the format can."""


def fidelity(pixels: Image.Image) -> Fidelity:
    """How exactly these pixels have to be encoded."""
    if max(pixels.size) <= SMALL_SIDE or pixels.getcolors(MAX_COLOURS) is not None:
        return Fidelity.EXACT
    return Fidelity.GRAPHIC if _has_flat_areas(pixels) else Fidelity.PHOTO


def _has_flat_areas(pixels: Image.Image) -> bool:
    """Whether most pixels in the middle equal their right neighbours: a drawing that was reduced."""
    if pixels.mode == "YCbCr":
        return False
    width, height = min(pixels.width - 1, _EDGES_SIDE), min(pixels.height, _EDGES_SIDE)
    left, top = (pixels.width - 1 - width) // 2, (pixels.height - height) // 2
    middle = pixels.crop((left, top, left + width + 1, top + height)).convert("RGB").tobytes()
    row = (width + 1) * 3
    equal = sum(
        middle[start : start + 3] == middle[start + 3 : start + 6]
        for y in range(0, height, 4)
        for start in range(y * row, y * row + width * 3, 3)
    )
    return equal > _NEIGHBOURS_EQUAL * width * ((height + 3) // 4)

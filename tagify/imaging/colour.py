"""Colours that are described by numbers instead of a profile: gAMA and cHRM of PNG, cICP of PNG and AVIF."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import starmap

import pyvips

Chromaticity = tuple[float, float]
Matrix = list[list[float]]

_D65 = (0.3127, 0.3290)
_SRGB_PRIMARIES = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_PRIMARIES = {
    1: _SRGB_PRIMARIES,
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    7: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}
"""Primaries of ITU-T H.273, of those whose white is D65."""

_SRGB_LIKE = {1, 2, 6, 13, 14, 15}
"""Transfer characteristics shown as sRGB, as browsers do: BT.709 and its equals, unspecified, sRGB."""
_GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
_PQ, _HLG = 16, 18

SDR_WHITE = 203.0
"""Luminance of diffuse white in HDR, in cd/m² (ITU-R BT.2408)."""
HDR_PEAK = 1000.0
"""Luminance that is mapped to the white of the result, in cd/m²: that of the display that HLG is made for."""

_GAMMA_TOLERANCE = 0.05
"""Products of gammas within this of 1 are the same, as in libpng: 1/2.2 is what sRGB is called."""


@dataclass(frozen=True, slots=True)
class ColourSpace:
    """RGB by its primaries and its transfer function: a gamma (1.0 is linear), or a code of ITU-T H.273."""

    primaries: tuple[Chromaticity, Chromaticity, Chromaticity] = _SRGB_PRIMARIES
    white: Chromaticity = _D65
    gamma: float | None = None
    transfer: int = 13

    @property
    def is_hdr(self) -> bool:
        """Whether white is far below the maximum."""
        return self.gamma is None and self.transfer in (_PQ, _HLG)

    @property
    def is_srgb(self) -> bool:
        """Whether nothing has to be converted."""
        same = all(
            math.isclose(ours, theirs, abs_tol=0.002)
            for one, other in zip((*self.primaries, self.white), (*_SRGB_PRIMARIES, _D65), strict=True)
            for ours, theirs in zip(one, other, strict=True)
        )
        if self.gamma is not None:
            return same and abs(self.gamma / 2.2 - 1) < _GAMMA_TOLERANCE
        return same and self.transfer in _SRGB_LIKE


def from_cicp(primaries: int, transfer: int) -> ColourSpace | None:
    """The colour space of a pair of codes; None for one that is not known, which is shown as sRGB."""
    if transfer not in _SRGB_LIKE and transfer not in _GAMMAS and transfer not in (_PQ, _HLG):
        return None
    return ColourSpace(
        _PRIMARIES.get(primaries, _SRGB_PRIMARIES), gamma=_GAMMAS.get(transfer), transfer=transfer
    )


def from_png(gamma: float | None, chromaticities: Sequence[float] | None) -> ColourSpace | None:
    """The colour space of gAMA (the encoding gamma) and cHRM (white, red, green, blue); None if invalid."""
    if gamma is None or not 0.01 <= gamma <= 10:  # noqa: PLR2004
        return None
    decoding = 1 / gamma
    if chromaticities is None:
        return ColourSpace(gamma=decoding)
    points = [(chromaticities[i], chromaticities[i + 1]) for i in range(0, 8, 2)]
    space = ColourSpace((points[1], points[2], points[3]), points[0], decoding)
    try:
        _to_srgb_matrix(space)
    except ZeroDivisionError:
        return ColourSpace(gamma=decoding)
    return space


def to_srgb(image: pyvips.Image, space: ColourSpace) -> pyvips.Image:
    """A small image of 8 or 16 bits in this colour space as 8-bit sRGB; HDR is tone-mapped."""
    alpha = image[image.bands - 1] if image.hasalpha() else None
    white = 65535.0 if image.format == "ushort" else 255.0
    colours = image[0] if image.bands <= 2 else image.extract_band(0, n=3)  # noqa: PLR2004
    linear = _linear(colours / white, space)
    if linear.bands == 1:
        linear = linear.bandjoin([linear, linear])
    if space.is_hdr:
        linear = _tone_mapped(linear)
    linear = linear.recomb(_to_srgb_matrix(space))
    result = linear.copy(interpretation="scrgb").colourspace("srgb")
    if alpha is not None:
        result = result.bandjoin((alpha * (255.0 / white)).rint().cast("uchar"))
    return result.copy_memory()


def _linear(encoded: pyvips.Image, space: ColourSpace) -> pyvips.Image:
    """Linear light: 1 is white; in HDR, SDR's white."""
    if space.gamma is not None:
        return encoded**space.gamma
    functions: dict[int, Callable[[pyvips.Image], pyvips.Image]] = {_PQ: _pq, _HLG: _hlg}
    return functions.get(space.transfer, _srgb)(encoded)


def _srgb(encoded: pyvips.Image) -> pyvips.Image:
    is_dark = encoded <= 0.04045  # noqa: PLR2004 - IEC 61966-2-1
    return is_dark.ifthenelse(encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def _pq(encoded: pyvips.Image) -> pyvips.Image:
    """SMPTE ST 2084."""
    power = encoded ** (1 / 78.84375)
    over = power - 0.8359375
    over = (over > 0).ifthenelse(over, 0)
    return ((over / (power * -18.6875 + 18.8515625)) ** (1 / 0.1593017578125)) * (10_000 / SDR_WHITE)


def _hlg(encoded: pyvips.Image) -> pyvips.Image:
    """ARIB STD-B67 with the system gamma of a display of 1,000 cd/m² (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    is_dark = encoded <= 0.5  # noqa: PLR2004
    scene = is_dark.ifthenelse(encoded * encoded / 3, (((encoded - c) / a).exp() + b) / 12)
    luma = scene if scene.bands == 1 else scene.recomb([[0.2627, 0.6780, 0.0593]])
    return scene * (luma**0.2) * (HDR_PEAK / SDR_WHITE)


def _tone_mapped(linear: pyvips.Image) -> pyvips.Image:
    """Extended Reinhard by the largest channel, as Chromium does: hues stay, HDR_PEAK becomes white."""
    peak = HDR_PEAK / SDR_WHITE
    largest = linear[0].bandrank([linear[1], linear[2]], index=2)
    return linear * ((largest / (peak * peak) + 1) / (largest + 1))


def _to_srgb_matrix(space: ColourSpace) -> Matrix:
    """From linear RGB of a space to linear sRGB, white to white (Bradford). Raises ZeroDivisionError."""
    adapt = _adaptation(space.white, _D65)
    to_xyz = _multiply(adapt, _rgb_to_xyz(space.primaries, space.white))
    return _multiply(_inverse(_rgb_to_xyz(_SRGB_PRIMARIES, _D65)), to_xyz)


def _adaptation(source: Chromaticity, target: Chromaticity) -> Matrix:
    bradford = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
    cones = [_apply(bradford, _xyz(*white)) for white in (source, target)]
    scale = [
        [cones[1][row] / cones[0][row] if row == column else 0.0 for column in range(3)] for row in range(3)
    ]
    return _multiply(_inverse(bradford), _multiply(scale, bradford))


def _rgb_to_xyz(primaries: Sequence[Chromaticity], white: Chromaticity) -> Matrix:
    columns = list(starmap(_xyz, primaries))
    unscaled = [[column[row] for column in columns] for row in range(3)]
    amounts = _apply(_inverse(unscaled), _xyz(*white))
    return [[value * amount for value, amount in zip(row, amounts, strict=True)] for row in unscaled]


def _xyz(x: float, y: float) -> list[float]:
    return [x / y, 1.0, (1 - x - y) / y]


def _apply(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    return [sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def _multiply(left: Matrix, right: Matrix) -> Matrix:
    columns = [_apply(left, column) for column in zip(*right, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    adjugate = [
        [e * i - f * h, c * h - b * i, b * f - c * e],
        [f * g - d * i, a * i - c * g, c * d - a * f],
        [d * h - e * g, b * g - a * h, a * e - b * d],
    ]
    determinant = a * adjugate[0][0] + b * adjugate[1][0] + c * adjugate[2][0]
    return [[value / determinant for value in row] for row in adjugate]

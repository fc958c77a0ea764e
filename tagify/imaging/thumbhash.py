"""ThumbHash: an image in some 25 bytes, enough for a blurred preview with its aspect ratio and colours.

The format is Evan Wallace's (public domain): a cosine transform of luminance (L), two colour
differences (P, Q) and alpha, quantised to four bits per coefficient. Bits, least significant first:
24 of header (L 6, P 6, Q 6, L's scale 5, alpha flag 1), 16 more (shape 3, P's scale 6, Q's
scale 6, landscape flag 1), 8 for alpha if there is any, then the coefficients.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from operator import mul
from typing import NamedTuple

MAX_SIDE = 100
"""Longest side of the input, in pixels. 32 suffice: no coefficient represents finer detail."""


class _Channel(NamedTuple):
    mean: float
    coefficients: list[float]
    scale: float


def encode(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of an image, given as rows of 8-bit RGBA with straight (not premultiplied) alpha.

    Raises ValueError if a side exceeds MAX_SIDE or the number of bytes does not match the sides.
    """
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE) or len(rgba) != width * height * 4:
        raise ValueError(f"{width} x {height} pixels in {len(rgba)} bytes")
    l_values, p_values, q_values, a_values = _lpqa(rgba)
    has_alpha = min(rgba[3::4]) < 255  # noqa: PLR2004 - opaque
    longest = max(width, height)
    limit = 5 if has_alpha else 7
    nx = max(1, _round(limit * width / longest))
    ny = max(1, _round(limit * height / longest))
    luma = _transform(l_values, width, height, max(3, nx), max(3, ny))
    p = _transform(p_values, width, height, 3, 3)
    q = _transform(q_values, width, height, 3, 3)
    landscape = width > height
    header = (
        _round(63 * luma.mean)
        | _round(31.5 + 31.5 * p.mean) << 6
        | _round(31.5 + 31.5 * q.mean) << 12
        | _round(31 * luma.scale) << 18
        | has_alpha << 23
    )
    shorter = ny if landscape else nx
    shape = shorter | _round(63 * p.scale) << 3 | _round(63 * q.scale) << 9 | landscape << 15
    nibbles = [*luma.coefficients, *p.coefficients, *q.coefficients]
    packed = header.to_bytes(3, "little") + shape.to_bytes(2, "little")
    if has_alpha:
        alpha = _transform(a_values, width, height, 5, 5)
        packed += bytes((_round(15 * alpha.mean) | _round(15 * alpha.scale) << 4,))
        nibbles += alpha.coefficients
    return packed + _pack(nibbles)


def _lpqa(rgba: bytes) -> tuple[list[float], list[float], list[float], list[float]]:
    """Luminance, yellow-blue, red-green and alpha; transparent pixels are blended with the mean colour."""
    alpha = [value / 255 for value in rgba[3::4]]
    weight = sum(alpha)
    channels = []
    for start in range(3):
        values = [value / 255 for value in rgba[start::4]]
        mean = sum(map(mul, values, alpha)) / weight if weight else 0.0
        channels.append(
            [mean * (1 - opacity) + value * opacity for value, opacity in zip(values, alpha, strict=True)]
        )
    pixels = list(zip(*channels, strict=True))
    return (
        [(r + g + b) / 3 for r, g, b in pixels],
        [(r + g) / 2 - b for r, g, b in pixels],
        [r - g for r, g, _ in pixels],
        alpha,
    )


def _transform(values: Sequence[float], width: int, height: int, nx: int, ny: int) -> _Channel:
    """The low frequencies of a channel: first along rows, then along columns (the transform is separable)."""
    rows = [values[start : start + width] for start in range(0, width * height, width)]
    across = [[sum(map(mul, row, wave)) for row in rows] for wave in _waves(width, nx)]
    down = _waves(height, ny)
    area = width * height
    coefficients = [
        sum(map(mul, across[cx], down[cy])) / area
        for cy in range(ny)
        for cx in range(nx)
        if cx * ny < nx * (ny - cy)
    ]
    mean, rest = coefficients[0], coefficients[1:]
    scale = max(map(abs, rest), default=0.0)
    return _Channel(mean, [0.5 + 0.5 * value / scale for value in rest] if scale else rest, scale)


@lru_cache(maxsize=512)
def _waves(length: int, number: int) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(math.cos(math.pi / length * frequency * (step + 0.5)) for step in range(length))
        for frequency in range(number)
    )


def _pack(values: Sequence[float]) -> bytes:
    nibbles = [_round(15 * value) for value in values]
    if len(nibbles) % 2:
        nibbles.append(0)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def _round(value: float) -> int:
    """Round half up, as other implementations of the format do; Python rounds half to even."""
    return math.floor(value + 0.5)

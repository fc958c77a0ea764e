"""JPEGs for benchmarks: as expensive to decode as photographs, and no two with the same bytes."""

import io
from pathlib import Path

from PIL import Image

KINDS = 8
"""Different pictures. Further files repeat them, with a few different bytes after the end of the image."""


def write_photos(folder: Path, size: tuple[int, int], number: int, *, seed: int = 0) -> None:
    """Write JPEGs of this size (width, height); another seed gives other contents."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [photo(size, kind) for kind in range(min(KINDS, number))]
    for name in range(number):
        tail = seed.to_bytes(4, "big") + name.to_bytes(4, "big")
        (folder / f"{name:06}.jpg").write_bytes(pictures[name % len(pictures)] + tail)


def photo(size: tuple[int, int], kind: int) -> bytes:
    """One JPEG of about 0.3 bytes per pixel: soft shapes with grain, like a camera's."""
    width, height = size
    grain = Image.effect_noise((width // 4, height // 4), 40 + kind).resize(size, Image.Resampling.BICUBIC)
    shape = Image.linear_gradient("L").rotate(30 * kind).resize(size)
    colour = Image.radial_gradient("L").resize(size)
    picture = Image.merge("RGB", (Image.blend(shape, grain, 0.5), Image.blend(colour, grain, 0.4), grain))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88, subsampling="4:2:0")
    return out.getvalue()

"""JPEGs for measurements: as hard to decode as photographs are, and no two with the same bytes."""

import io
from pathlib import Path

from PIL import Image

KINDS = 8
"""Different pictures; the files beyond them differ in a few bytes behind the end of the picture."""


def photos(folder: Path, size: tuple[int, int], number: int, *, seed: int = 0) -> None:
    """Write so many JPEGs of this size; another seed gives other contents."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [photo(size, kind) for kind in range(min(KINDS, number))]
    for name in range(number):
        tail = seed.to_bytes(4, "big") + name.to_bytes(4, "big")
        (folder / f"{name:06}.jpg").write_bytes(pictures[name % len(pictures)] + tail)


def photo(size: tuple[int, int], kind: int) -> bytes:
    """One JPEG of some 0.3 bytes a pixel: soft shapes with grain, as a camera's are."""
    width, height = size
    grain = Image.effect_noise((width // 4, height // 4), 40 + kind).resize(size, Image.Resampling.BICUBIC)
    shape = Image.linear_gradient("L").rotate(30 * kind).resize(size)
    colour = Image.radial_gradient("L").resize(size)
    picture = Image.merge("RGB", (Image.blend(shape, grain, 0.5), Image.blend(colour, grain, 0.4), grain))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88, subsampling="4:2:0")
    return out.getvalue()

"""The estimate is not below the peak that decoding really takes, measured in a child process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.support import pictures

_PROGRAM = """
import sys
from pathlib import Path
from tagify.imaging import decode_original, estimate_decode_bytes, render_variant

def field(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

path, width = Path(sys.argv[1]), int(sys.argv[2])
estimate = estimate_decode_bytes(path, max_pixels=1 << 31, width=width or 512)
Path("/proc/self/clear_refs").write_text("5")
before = field("VmRSS")
if width:
    render_variant(path, width=width, mime="image/webp", max_pixels=1 << 31)
else:
    decode_original(path, max_pixels=1 << 31)
print(estimate, field("VmHWM") - before)
"""

_SIZE = (1800, 1200)


def noisy(mode: str) -> Image.Image:
    noise = Image.effect_noise((300, 200), 60).resize(_SIZE, Image.Resampling.NEAREST)
    image = Image.merge("RGB", (noise, noise.transpose(Image.Transpose.ROTATE_180), noise))
    if mode == "RGBA":
        image.putalpha(noise)
    return image if mode in ("RGB", "RGBA") else image.convert(mode)


FILES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "baseline.jpg": ("JPEG", "RGB", {}),
    "progressive.jpg": ("JPEG", "RGB", {"progressive": True}),
    "cmyk-progressive.jpg": ("JPEG", "CMYK", {"progressive": True}),
    "rgb.png": ("PNG", "RGB", {"compress_level": 1}),
    "rgba.png": ("PNG", "RGBA", {"compress_level": 1}),
    "rgb.bmp": ("BMP", "RGB", {}),
    "palette.gif": ("GIF", "P", {}),
    "lossy.webp": ("WEBP", "RGB", {"method": 0}),
    "alpha.webp": ("WEBP", "RGBA", {"method": 0}),
    "lossless.webp": ("WEBP", "RGB", {"method": 0, "lossless": True, "quality": 0}),
    "lzw.tif": ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "rgb.avif": ("AVIF", "RGB", {"speed": 10}),
    "alpha.avif": ("AVIF", "RGBA", {"speed": 10}),
    "rgb.heic": ("HEIF", "RGB", {"quality": 40}),
}


@pytest.mark.parametrize("name", FILES)
def test_the_estimate_covers_the_peak(name: str, tmp_path: Path) -> None:
    kind, mode, options = FILES[name]
    estimate, peak = measure(tmp_path / name, pictures.encoded(noisy(mode), kind, **options))
    assert peak <= estimate, f"{peak >> 20} MiB, estimated {estimate >> 20} MiB"


@pytest.mark.parametrize("width", [512, 700, 1500, 2900, 4000])
def test_the_estimate_of_a_variant_covers_the_peak(width: int, tmp_path: Path) -> None:
    """A wide variant is made of more pixels: the decoder reduces the JPEG less."""
    photo = noisy("RGB").resize((4200, 2800), Image.Resampling.NEAREST)
    estimate, peak = measure(tmp_path / "photo.jpg", pictures.encoded(photo, "JPEG"), width)
    assert peak <= estimate, f"{peak >> 20} MiB, estimated {estimate >> 20} MiB"


def measure(path: Path, data: bytes, width: int = 0) -> tuple[int, int]:
    """Estimate and peak in a child process, in bytes; of a thumb, or of a variant of this width."""
    path.write_bytes(data)
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(path), str(width)],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    estimate, peak = map(int, result.stdout.split())
    return estimate, peak

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
from tagify.imaging import decode_original, estimate_decode_bytes

def field(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) * 1024

path = Path(sys.argv[1])
estimate = estimate_decode_bytes(path, max_pixels=1 << 31)
Path("/proc/self/clear_refs").write_text("5")
before = field("VmRSS")
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
    path = tmp_path / name
    path.write_bytes(pictures.encoded(noisy(mode), kind, **options))
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(path)], check=True, capture_output=True, text=True, timeout=120
    )
    estimate, peak = map(int, result.stdout.split())
    assert peak <= estimate, f"{peak >> 20} MiB, estimated {estimate >> 20} MiB"

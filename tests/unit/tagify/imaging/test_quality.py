"""Thumbs are as good as those of libvips: both compared with a full decode and Lanczos, by SSIM."""

import io
from collections.abc import Callable
from random import Random

import pytest
import pyvips
from PIL import Image

from tagify.imaging import decode_original
from tagify.model import THUMB_SIZE
from tagify.sample import scenes
from tests.support import pictures

TOLERANCE = 0.002
"""SSIM by which a thumb may be worse than that of libvips."""

Scene = Callable[[tuple[int, int], Random], Image.Image]
SCENES = [scenes.mountains, scenes.sea, scenes.night, scenes.circles, scenes.waves, scenes.tiles]
SIZES = [(4000, 3000), (1632, 1224), (1920, 1080)]


def rendered(scene: Scene, size: tuple[int, int]) -> bytes:
    return pictures.encoded(scene(size, Random(1)), "JPEG", quality=92)


def ssim(reference: pyvips.Image, other: pyvips.Image) -> float:
    """Structural similarity of two RGB images (Wang et al. 2004, a Gaussian window of sigma 1.5)."""

    def mean(image: pyvips.Image) -> pyvips.Image:
        return image.gaussblur(1.5, precision="float")

    a, b = reference.cast("float"), other.cast("float")
    mean_a, mean_b = mean(a), mean(b)
    variance_a = mean(a * a) - mean_a * mean_a
    variance_b = mean(b * b) - mean_b * mean_b
    covariance = mean(a * b) - mean_a * mean_b
    small, smaller = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (mean_a * mean_b * 2 + small) * (covariance * 2 + smaller)
    bottom = (mean_a * mean_a + mean_b * mean_b + small) * (variance_a + variance_b + smaller)
    similarity: float = (top / bottom).avg()
    return similarity


def in_vips(image: Image.Image) -> pyvips.Image:
    rgb = image.convert("RGB")
    return pyvips.Image.new_from_memory(rgb.tobytes(), rgb.width, rgb.height, 3, "uchar").copy(
        interpretation="srgb"
    )


def reference(data: bytes, size: tuple[int, int]) -> Image.Image:
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB").resize(size, Image.Resampling.LANCZOS)


def encoded(image: pyvips.Image) -> pyvips.Image:
    """The image after JPEG encoding with the settings of our thumbs: quality 82, chroma subsampling."""
    return pyvips.Image.new_from_buffer(image.jpegsave_buffer(Q=82, optimize_coding=True), "")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", SCENES)
def test_a_thumb_is_as_similar_to_the_original_as_that_of_libvips(
    scene: Scene, size: tuple[int, int]
) -> None:
    data = rendered(scene, size)
    theirs = encoded(pyvips.Image.thumbnail_buffer(data, THUMB_SIZE, height=THUMB_SIZE))
    ours = in_vips(Image.open(io.BytesIO(decode_original(data, max_pixels=1 << 30).thumb)))
    ideal = in_vips(reference(data, (theirs.width, theirs.height)))
    assert (ours.width, ours.height) == (theirs.width, theirs.height)
    assert ssim(ideal, ours) > ssim(ideal, theirs) - TOLERANCE
    # SSIM distinguishes images.
    assert ssim(ideal, in_vips(Image.new("RGB", (ideal.width, ideal.height)))) < 0.9

"""render_variant: width, format, transparency, colours, and no metadata."""

import io

import pytest
from PIL import Image, ImageCms

from tagify.imaging import render_variant
from tagify.imaging.variant import MAX_HEIGHT, QUALITIES
from tests.support import pictures

MIMES = {"image/webp": "WEBP", "image/jpeg": "JPEG", "image/avif": "AVIF"}


def variant(source: bytes, mime: str, width: int | None = 200) -> Image.Image:
    image = Image.open(io.BytesIO(render_variant(source, width=width, mime=mime, max_pixels=50_000_000)))
    image.load()
    return image


@pytest.mark.parametrize("mime", MIMES)
def test_a_variant_has_the_requested_width_and_format(mime: str) -> None:
    source = pictures.jpeg(640, 480)
    assert (variant(source, mime).format, variant(source, mime).size) == (MIMES[mime], (200, 150))


@pytest.mark.parametrize("mime", MIMES)
def test_a_small_image_is_not_enlarged(mime: str) -> None:
    source = pictures.jpeg(120, 90)
    assert variant(source, mime, 160).size == variant(source, mime, 3072).size == (120, 90)
    assert variant(source, mime, None).size == (120, 90)


@pytest.mark.parametrize("mime", ["image/webp", "image/avif"])
def test_transparency_is_kept(mime: str) -> None:
    alpha = variant(pictures.png(alpha=True), mime).getchannel("A")
    assert alpha.getpixel((20, 60)) == 0
    assert alpha.getpixel((180, 60)) == 255


def test_transparency_is_white_in_a_jpeg() -> None:
    image = variant(pictures.png(alpha=True), "image/jpeg")
    assert image.mode == "RGB"
    pixel = image.getpixel((20, 60))
    assert isinstance(pixel, tuple)
    assert min(pixel) > 250


@pytest.mark.parametrize("mime", MIMES)
@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_is_its_first_frame(kind: str, mime: str) -> None:
    image = variant(pictures.animated(kind), mime)
    assert getattr(image, "n_frames", 1) == 1
    pixel = image.convert("RGB").getpixel((60, 40))
    assert isinstance(pixel, tuple)
    red, green, blue = pixel
    assert red > 230
    assert max(green, blue) < 30


@pytest.mark.parametrize("mime", MIMES)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_variant_is_upright_and_has_no_metadata(orientation: int, mime: str) -> None:
    image = variant(pictures.with_orientation(orientation, 300, 200), mime, 150)
    assert image.size == (150, 100)
    assert not image.getexif()
    assert "icc_profile" not in image.info
    assert "xmp" not in image.info


@pytest.mark.parametrize("mime", MIMES)
def test_colours_of_another_profile_are_converted(mime: str) -> None:
    # Red in CIELAB: the same numbers read as RGB are a pale blue.
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    lab_red = Image.new("LAB", (100, 100), (138, 208, 195))
    source = pictures.encoded(lab_red, "TIFF", icc_profile=lab)
    pixel = variant(source, mime).convert("RGB").getpixel((50, 50))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 200
    assert max(pixel[1:]) < 70


def test_quality_decreases_with_width_and_covers_every_width() -> None:
    for steps in QUALITIES.values():
        assert list(steps) == sorted(steps)
        assert [*steps.values()] == sorted(steps.values(), reverse=True)
        assert max(steps) >= 8192


@pytest.mark.parametrize("mime", MIMES)
def test_a_very_tall_image_fits_the_limit_of_its_format(mime: str) -> None:
    tall = pictures.encoded(Image.new("RGB", (100, 20_000), "navy"), "PNG")
    width, height = variant(tall, mime, 100).size
    assert height <= MAX_HEIGHT
    assert width == 82

"""decode_original: every format and mode, metadata, and files that are no image."""

import io
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

from tagify.errors import Undecodable
from tagify.imaging import decode_original
from tagify.model import THUMB_SIZE, GeoPosition
from tests.support import pictures

MAX_PIXELS = 50_000_000


def thumb_of(source: bytes | Path) -> Image.Image:
    return Image.open(io.BytesIO(decode_original(source, max_pixels=MAX_PIXELS).thumb))


def distance(first: Image.Image, second: Image.Image) -> float:
    """Mean difference of the channels of two images, 0 to 255."""
    other = second.convert("RGB").resize(first.size)
    return sum(ImageStat.Stat(ImageChops.difference(first.convert("RGB"), other)).mean) / 3


@pytest.mark.parametrize(
    ("kind", "mime"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("GIF", "image/gif"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("AVIF", "image/avif"),
        ("HEIF", "image/heic"),
    ],
)
def test_every_format_gives_a_thumb_similar_to_the_original(kind: str, mime: str) -> None:
    original = pictures.gradient(1500, 1000)
    decoded = decode_original(pictures.encoded(original, kind), max_pixels=MAX_PIXELS)
    assert (decoded.picture.mime, decoded.picture.width, decoded.picture.height) == (mime, 1500, 1000)
    thumb = Image.open(io.BytesIO(decoded.thumb))
    assert thumb.size == (THUMB_SIZE, 341)
    assert decoded.thumb_mime == "image/jpeg"
    assert distance(thumb, original) < 8


def test_a_multi_picture_jpeg_is_one_still_image() -> None:
    first, second = pictures.gradient(900, 600), pictures.gradient(900, 600, seed=5)
    data = pictures.encoded(first, "MPO", save_all=True, append_images=[second])
    decoded = decode_original(data, max_pixels=MAX_PIXELS)
    assert (decoded.picture.mime, decoded.picture.frames) == ("image/jpeg", 1)
    assert distance(Image.open(io.BytesIO(decoded.thumb)), first) < 8


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cmyk_jpeg_gives_a_similar_thumb(progressive: bool) -> None:
    original = pictures.gradient(900, 600)
    data = pictures.encoded(original.convert("CMYK"), "JPEG", quality=92, progressive=progressive)
    assert distance(thumb_of(data), original) < 10


def test_16_bit_colours_keep_their_brightness() -> None:
    assert ImageStat.Stat(
        thumb_of(pictures.png_16_bit(40, 30, (0x8000, 0x4000, 0xFFFF)))
    ).mean == pytest.approx([128, 64, 255], abs=4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"])
def test_every_mode_keeps_its_brightness(mode: str) -> None:
    grey = Image.new("L", (64, 64), 255 if mode == "1" else 128)
    if mode in ("I;16", "I"):
        deep = grey.convert("I").point(lambda value: value * 257)
        image = deep.convert(mode) if mode == "I;16" else deep
    else:
        image = grey.convert("RGB").convert(mode) if mode == "P" else grey.convert(mode)
    kind = "TIFF" if mode in ("CMYK", "YCbCr", "F", "I") else "PNG"
    mean = ImageStat.Stat(thumb_of(pictures.encoded(image, kind)).convert("L")).mean[0]
    # CMYK without a profile by the one that libvips has for it.
    expected = {"1": 255, "F": 255, "CMYK": 137}.get(mode, 128)
    assert mean == pytest.approx(expected, abs=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_gives_the_same_thumb(orientation: int) -> None:
    decoded = decode_original(pictures.with_orientation(orientation), max_pixels=MAX_PIXELS)
    assert (decoded.picture.width, decoded.picture.height) == (300, 200)
    thumb = Image.open(io.BytesIO(decoded.thumb))
    assert thumb.size == (300, 200)
    assert distance(thumb, pictures.gradient(300, 200)) < 4


def test_alpha_is_kept_in_the_thumb() -> None:
    decoded = decode_original(pictures.png(alpha=True), max_pixels=MAX_PIXELS)
    assert decoded.thumb_mime == "image/webp"
    alpha = Image.open(io.BytesIO(decoded.thumb)).getchannel("A")
    assert alpha.getpixel((10, 100)) == 0
    assert alpha.getpixel((310, 100)) == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
def test_an_animation_shows_its_first_frame(kind: str) -> None:
    red, green, blue = ImageStat.Stat(thumb_of(pictures.animated(kind)).convert("RGB")).mean
    assert red > 240
    assert max(green, blue) < 15


def test_small_images_are_not_enlarged() -> None:
    assert thumb_of(pictures.png(40, 30)).size == (40, 30)


def test_a_profile_that_is_not_srgb_is_converted() -> None:
    lab_free = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    assert decode_original(pictures.jpeg(icc_profile=lab_free), max_pixels=MAX_PIXELS).picture.width == 640


def test_keywords_from_xmp_are_normalized_and_unique() -> None:
    source = pictures.with_keywords("Sea", " sea ", "sunset", "x" * 101)
    assert decode_original(source, max_pixels=MAX_PIXELS).picture.keywords == ("Sea", "sunset")


def test_keywords_are_read_from_iptc() -> None:
    def record(number: int, text: bytes) -> bytes:
        return b"\x1c\x02" + bytes((number,)) + len(text).to_bytes(2, "big") + text

    iptc = record(25, "Küste".encode()) + record(25, b"harbour")
    body = (
        b"Photoshop 3.0\0"
        + b"8BIM\x04\x04\0\0"
        + len(iptc).to_bytes(4, "big")
        + iptc
        + b"\0" * (len(iptc) % 2)
    )
    plain = pictures.jpeg()
    source = plain[:2] + b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body + plain[2:]
    assert decode_original(source, max_pixels=MAX_PIXELS).picture.keywords == ("Küste", "harbour")


@pytest.mark.parametrize(
    ("offset", "zone"),
    [
        ("+02:00", timezone(timedelta(hours=2))),
        ("-09:30", timezone(-timedelta(hours=9, minutes=30))),
        ("", UTC),
    ],
)
def test_the_time_taken_has_its_offset(offset: str, zone: timezone) -> None:
    exif = Image.Exif()
    details = exif.get_ifd(0x8769)
    details[0x9003] = "2021:06:05 04:03:02"
    if offset:
        details[0x9011] = offset
    decoded = decode_original(pictures.jpeg(exif=exif), max_pixels=MAX_PIXELS)
    assert decoded.picture.taken_at == datetime(2021, 6, 5, 4, 3, 2, tzinfo=zone)


def test_an_invalid_time_is_ignored() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "0000:00:00 00:00:00"
    assert decode_original(pictures.jpeg(exif=exif), max_pixels=MAX_PIXELS).picture.taken_at is None


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "the file is empty"),
        (b"dear diary, " * 40, "supported image format"),
        (pictures.jpeg()[:100], "truncated|damaged|supported image format"),
        (pictures.png(seed=3)[:40], "truncated|damaged|supported image format"),
        (pictures.decompression_bomb(), "60000 x 60000 pixels exceed the limit"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "supported image format"),
    ],
)
def test_a_file_that_is_no_image_is_refused_with_a_reason(source: bytes, reason: str) -> None:
    with pytest.raises(Undecodable, match=reason):
        decode_original(source, max_pixels=MAX_PIXELS)


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        decode_original(tmp_path / "none.jpg", max_pixels=MAX_PIXELS)


def test_a_path_and_its_bytes_give_the_same_result(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(pictures.jpeg())
    assert decode_original(path, max_pixels=MAX_PIXELS) == decode_original(
        path.read_bytes(), max_pixels=MAX_PIXELS
    )


CORPUS = [
    pictures.jpeg(64, 48),
    pictures.jpeg(64, 48, progressive=True),
    pictures.png(48, 32, alpha=True),
    pictures.animated("GIF"),
    pictures.animated("WEBP"),
    pictures.with_keywords("a", "b"),
    pictures.with_orientation(6, 60, 40),
    *(pictures.encoded(pictures.gradient(40, 30), kind) for kind in ("BMP", "TIFF", "AVIF", "WEBP")),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(CORPUS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    st.floats(0.05, 1),
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_give_an_image_or_a_reason(
    whole: bytes, changes: list[tuple[float, int]], kept: float
) -> None:
    damaged = bytearray(whole)
    for position, value in changes:
        damaged[int(position * len(damaged))] = value
    try:
        decoded = decode_original(bytes(damaged[: int(len(damaged) * kept)]), max_pixels=1_000_000)
    except Undecodable as error:
        assert str(error)
    else:
        assert decoded.thumb


def with_exif(latitude: tuple[float, float, float] = (48.0, 51.0, 30.24)) -> bytes:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon\0", "Canon EOS R5"
    details = exif.get_ifd(0x8769)
    details[0xA434] = "RF50mm F1.2 L"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "S", latitude, "E", (2.0, 17.0, 40.2)
    return pictures.jpeg(exif=exif)


def test_camera_lens_and_position_are_read() -> None:
    picture = decode_original(with_exif(), max_pixels=MAX_PIXELS).picture
    assert (picture.camera, picture.lens) == ("Canon EOS R5", "RF50mm F1.2 L")
    assert picture.position == GeoPosition(-48.8584, 2.2945)


def test_an_invalid_position_is_ignored() -> None:
    assert decode_original(with_exif((99.0, 0.0, 0.0)), max_pixels=MAX_PIXELS).picture.position is None


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_frames_of_an_animation_are_counted(kind: str) -> None:
    assert decode_original(pictures.animated(kind), max_pixels=MAX_PIXELS).picture.frames == 3
    assert (
        decode_original(
            pictures.encoded(pictures.gradient(20, 20), kind), max_pixels=MAX_PIXELS
        ).picture.frames
        == 1
    )

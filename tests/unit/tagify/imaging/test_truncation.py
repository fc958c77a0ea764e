"""Files that are cut: shown as far as they go and marked, or refused with a reason, at any point of the cut."""

import io
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from tagify.errors import Undecodable
from tagify.imaging import decode_original, estimate_decode_bytes, truncation
from tagify.imaging.decode import open_image
from tagify.imaging.transform import fit
from tests.support import odd_images as odd
from tests.support import pictures

_SIZE = (128, 96)
_MAX_PIXELS = 1 << 24


def _textured() -> Image.Image:
    ramp = Image.linear_gradient("L").resize(_SIZE)
    noise = Image.effect_noise(_SIZE, 60)
    return Image.merge("RGB", (ramp, noise, ramp.transpose(Image.Transpose.ROTATE_180)))


def _encoded(kind: str, *, alpha: bool = False, **options: Any) -> bytes:
    picture = _textured()
    if alpha:
        picture.putalpha(Image.linear_gradient("L").resize(_SIZE))
    return pictures.encoded(picture, kind, **options)


FILES = {
    "webp": _encoded("WEBP", quality=80),
    "lossless webp": _encoded("WEBP", lossless=True),
    "webp with alpha": _encoded("WEBP", alpha=True, quality=80),
    "animated webp": pictures.animated("WEBP"),
    "avif": _encoded("AVIF", quality=80),
    "avif with alpha": _encoded("AVIF", alpha=True),
    "heic": _encoded("HEIF", quality=80),
    "heic with alpha": _encoded("HEIF", alpha=True, quality=80),
    "bmp": _encoded("BMP"),
    "tiff": _encoded("TIFF"),
    "tiff with its directory at the end": _encoded("TIFF", compression="tiff_lzw"),
    "gif": _encoded("GIF"),
    "png": _encoded("PNG"),
    "jpeg": _encoded("JPEG"),
}

SHOWN_AT_90_PERCENT = set(FILES) - {"tiff with its directory at the end", "heic with alpha", "animated webp"}
BOTTOM_UP = {"bmp"}


def drawn(data: bytes) -> tuple[Image.Image, bool]:
    """The pixels, and whether they are marked as damaged."""
    with open_image(data, _MAX_PIXELS) as opened:
        pixels = fit(opened, (512, 512)).convert("RGBA")
        return pixels, opened.damaged


def equal_rows(first: Image.Image, second: Image.Image) -> int:
    """Number of rows at the top that are equal."""
    bands = ImageChops.difference(first, second).split()
    boxes = [box for band in bands if (box := band.getbbox())]
    return min((box[1] for box in boxes), default=first.height)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_cut_file_is_refused_with_a_reason_or_marked(name: str, data: st.DataObject) -> None:
    whole = FILES[name]
    cut = data.draw(st.integers(0, len(whole) - 1) | st.integers(len(whole) - 20, len(whole) - 1))
    try:
        pixels, damaged = drawn(whole[:cut])
    except Undecodable as error:
        assert str(error)
    else:
        intact, _ = drawn(whole)
        assert damaged or (pixels.size == intact.size and equal_rows(pixels, intact) == intact.height)


@pytest.mark.parametrize("name", sorted(SHOWN_AT_90_PERCENT))
def test_the_rows_before_the_cut_are_those_of_the_whole_file(name: str) -> None:
    whole = FILES[name]
    (pixels, damaged), (intact, _) = drawn(whole[: len(whole) * 9 // 10]), drawn(whole)
    if name in BOTTOM_UP:
        pixels, intact = (image.transpose(Image.Transpose.FLIP_TOP_BOTTOM) for image in (pixels, intact))
    assert damaged
    assert pixels.size == intact.size
    assert equal_rows(pixels, intact) >= 16


@pytest.mark.parametrize("name", FILES)
def test_whole_files_are_not_marked(name: str) -> None:
    assert not decode_original(FILES[name], max_pixels=_MAX_PIXELS).picture.damaged


def test_a_tiff_without_its_directory_says_so() -> None:
    whole = FILES["tiff with its directory at the end"]
    with pytest.raises(Undecodable, match="directory of the TIFF is missing"):
        drawn(whole[: len(whole) // 2])


def test_a_webp_without_its_padding_is_whole() -> None:
    odd_length = next(
        data
        for width in range(20, 60)
        if struct.unpack(
            "<I", (data := pictures.encoded(pictures.gradient(width, 30), "WEBP", lossless=True))[16:20]
        )[0]
        % 2
    )
    (pixels, damaged), (intact, _) = drawn(odd_length[:-1]), drawn(odd_length)
    assert not damaged
    assert equal_rows(pixels, intact) == 30
    assert drawn(odd_length[:-2])[1]


@pytest.mark.parametrize("kind", ["webp", "avif", "bmp"])
def test_a_small_file_that_declares_gigabytes_is_refused_without_allocating_them(kind: str) -> None:
    heads = {
        "webp": b"RIFF\xf8\xff\xff\xffWEBPVP8 \xf0\xff\xff\xff",
        "avif": FILES["avif"][: FILES["avif"].index(b"mdat") - 4] + b"\xff\xff\xff\xffmdat",
        "bmp": b"BM" + struct.pack("<IIIIiiHHIIIIII", 2**32 - 1, 0, 54, 40, 30000, 30000, 1, 32, *[0] * 6),
    }
    tracemalloc.start()
    try:
        with pytest.raises(Undecodable):
            decode_original(heads[kind] + bytes(60), max_pixels=1 << 31)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_the_memory_estimate_counts_the_missing_bytes() -> None:
    whole = pictures.encoded(Image.new("RGB", (2000, 1500)), "BMP")
    estimates = [estimate_decode_bytes(data, max_pixels=_MAX_PIXELS) for data in (whole, whole[:1000])]
    assert estimates[0] == estimates[1]


def test_padding_is_bounded() -> None:
    head = FILES["avif"][: FILES["avif"].index(b"mdat") - 4]
    for missing, is_padded in ((truncation.MAX_PADDING, True), (truncation.MAX_PADDING + 1, False)):
        data = head + struct.pack(">I", missing + 8) + b"mdat"
        stream, cut = truncation.complete(io.BytesIO(data), len(data))
        assert cut is is_padded
        assert stream.seek(0, io.SEEK_END) == len(data) + (missing if is_padded else 0)


@pytest.mark.parametrize("exif", [b"", b"\0\0\0\0", b"\0\0\0\6Exif\0\0", b"\xff\xff\xff\xff"])
def test_an_avif_with_an_empty_or_damaged_exif_item_is_decoded(exif: bytes) -> None:
    picture = decode_original(odd.avif_with_exif_item(exif), max_pixels=_MAX_PIXELS).picture
    assert (picture.width, picture.height, picture.damaged) == (*odd.SIZE, False)


def test_an_avif_with_a_gain_map_is_decoded() -> None:
    picture = decode_original(odd.avif_with_gain_map(), max_pixels=_MAX_PIXELS).picture
    assert (picture.width, picture.height, picture.damaged) == (*odd.SIZE, False)

"""Files as unusual programs write them: the right colours, size and transparency, by construction or by libvips."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageCms, ImageStat

from tagify.errors import Undecodable
from tagify.imaging import decode_original, render_variant
from tagify.model import DecodedOriginal
from tests.support import odd_images as odd
from tests.support import pictures

MAX_PIXELS = 10_000_000
RED = (208, 32, 48)
CENTRE = (32, 24)


def decoded(data: bytes) -> DecodedOriginal:
    return decode_original(data, max_pixels=MAX_PIXELS)


def thumb_of(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(decoded(data).thumb))


def pixel_of(data: bytes, point: tuple[int, int] = CENTRE) -> tuple[int, ...]:
    pixel = thumb_of(data).convert("RGBA").getpixel(point)
    assert isinstance(pixel, tuple)
    return tuple(int(value) for value in pixel)


def worst(first: Image.Image, second: Image.Image) -> float:
    """The largest difference of any channel of any pixel."""
    difference = ImageChops.difference(first.convert("RGBA"), second.convert("RGBA"))
    return max(ImageStat.Stat(difference).extrema, key=lambda pair: pair[1])[1]


def is_close(pixel: Sequence[int], expected: Sequence[int], tolerance: int = 2) -> bool:
    opaque = (*expected, 255)[:4]
    return all(abs(ours - theirs) <= tolerance for ours, theirs in zip(pixel, opaque, strict=True))


def four_quarters() -> Image.Image:
    """An image whose four quarters differ, so that every orientation looks different."""
    picture = Image.new("RGB", odd.SIZE, "red")
    picture.paste("blue", (0, 0, 32, 24))
    picture.paste("lime", (32, 0, 64, 24))
    return picture


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once_as_a_jpeg_with_the_same_tag(orientation: int, order: str) -> None:
    stored = four_quarters()
    exif = Image.Exif()
    exif[0x0112] = orientation
    reference = decoded(pictures.encoded(stored, "JPEG", quality=100, subsampling=0, exif=exif))
    tags = odd.tiff_tags([8, 8, 8], 2, orientation=orientation)
    ours = decoded(odd.tiff((tags, [stored.tobytes()]), order=order))
    assert (ours.picture.width, ours.picture.height) == (reference.picture.width, reference.picture.height)
    assert (ours.picture.width > ours.picture.height) == (orientation < 5)
    images = [Image.open(io.BytesIO(result.thumb)).convert("RGB") for result in (ours, reference)]
    assert worst(*images) < 12


XMP_TURNED = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("kind", ["AVIF", "JPEG", "WEBP"])
def test_an_orientation_in_xmp_turns_nothing(kind: str) -> None:
    picture = decoded(pictures.encoded(four_quarters(), kind, xmp=XMP_TURNED)).picture
    assert (picture.width, picture.height) == odd.SIZE


def test_an_orientation_in_xmp_of_png_turns_nothing() -> None:
    text = odd.png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP_TURNED)
    assert decoded(odd.plain_png(RED, text)).picture.width == odd.WIDTH


def test_the_exif_of_a_png_turns_it() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decoded(odd.plain_png(RED, odd.png_chunk(b"eXIf", exif.tobytes()[6:]))).picture.width == odd.HEIGHT


@pytest.mark.parametrize("orientation", range(1, 9))
def test_irot_and_imir_turn_an_avif_once(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decoded(pictures.encoded(four_quarters(), "AVIF", exif=exif)).picture
    assert (picture.width > picture.height) == (orientation < 5)


# --- depths and layouts of TIFF ---

HALF_LIGHT = (188, 137, 89)
TIFFS = {
    "16-bit RGB": (odd.plain_tiff("H", (49152, 16384, 8192), 2), (192, 64, 32)),
    "32-bit RGB": (odd.plain_tiff("I", (3221225472, 1073741824, 536870912), 2), (192, 64, 32)),
    "float RGB is linear": (odd.plain_tiff("f", (0.5, 0.25, 0.1), 2, sample_format=3), HALF_LIGHT),
    "half float RGB": (odd.plain_tiff("e", (0.5, 0.25, 0.1), 2, sample_format=3), HALF_LIGHT),
    "16-bit Lab": (odd.plain_tiff("h", (32767, 8192, 4096), 8), None),
    "32-bit grey": (odd.plain_tiff("I", (1 << 31,), 1), (128, 128, 128)),
    "32-bit grey, white is 0": (odd.plain_tiff("I", (1 << 31,), 0), (128, 128, 128)),
    "16-bit grey, white is 0": (odd.plain_tiff("H", (49152,), 0), (64, 64, 64)),
    "16-bit grey with alpha": (odd.plain_tiff("H", (20560, 32896), 1, extra=2), (80, 80, 80, 128)),
    "16-bit RGB with alpha": (
        odd.plain_tiff("H", (49152, 16384, 8192, 32896), 2, extra=2),
        (192, 64, 32, 128),
    ),
    "premultiplied alpha": (odd.plain_tiff("B", (100, 50, 25, 128), 2, extra=1), (199, 100, 50, 128)),
    "RGB with an unspecified sample": (odd.plain_tiff("B", (200, 60, 30, 0), 2, extra=0), (200, 60, 30)),
    "CMYK by libvips' profile": (odd.plain_tiff("B", (0, 255, 255, 0), 5), (232, 31, 42)),
    "CMYK with alpha": (odd.plain_tiff("B", (0, 200, 200, 0, 128), 5, extra=2), (237, 81, 69, 128)),
    "CMYK with an unspecified sample": (odd.plain_tiff("B", (0, 255, 255, 0, 0), 5, extra=0), (232, 31, 42)),
    "16-bit CMYK": (odd.plain_tiff("H", (0, 65535, 65535, 0), 5), (232, 31, 42)),
    "little-endian BigTIFF": (odd.plain_tiff("B", (200, 60, 30), 2, big=True), (200, 60, 30)),
    "big-endian BigTIFF": (odd.plain_tiff("B", (200, 60, 30), 2, order=">", big=True), (200, 60, 30)),
    "big-endian 16-bit": (odd.plain_tiff("H", (49152, 16384, 8192), 2, order=">"), (192, 64, 32)),
}


@pytest.mark.parametrize("name", TIFFS)
def test_every_depth_of_tiff_has_its_colours(name: str) -> None:
    data, expected = TIFFS[name]
    pixel = pixel_of(data)
    assert expected is None or is_close(pixel, expected), pixel


@pytest.mark.parametrize("code", ["B", "H"])
def test_planar_rgb_is_in_order(code: str) -> None:
    samples = struct.calcsize(code)
    planes = [
        struct.pack("<" + code, value * (257 if samples == 2 else 1)) * (64 * 48) for value in (200, 60, 30)
    ]
    tags = odd.tiff_tags([8 * samples] * 3, 2, planar=2)
    assert is_close(pixel_of(odd.tiff((tags, planes))), (200, 60, 30))


@pytest.mark.parametrize("multiplier", [1, 257])
def test_a_palette_may_have_8_bit_or_16_bit_values(multiplier: int) -> None:
    colours = [0] * 768
    colours[7], colours[256 + 7], colours[512 + 7] = (value * multiplier for value in (200, 60, 30))
    tags = odd.tiff_tags([8], 3, colour_map=colours)
    assert is_close(pixel_of(odd.tiff((tags, [b"\x07" * (64 * 48)]))), (200, 60, 30))


@pytest.mark.parametrize(("bits", "value"), [(4, 0x77), (12, 0x7FF7FF)])
def test_grey_of_4_and_12_bits_is_scaled(bits: int, value: int) -> None:
    pair = value.to_bytes(3 if bits == 12 else 1, "big")
    tags = odd.tiff_tags([bits], 1)
    grey = 127 if bits == 12 else 119
    assert is_close(pixel_of(odd.tiff((tags, [pair * (64 * 48 // 2)]))), (grey, grey, grey))


def test_the_page_is_shown_and_not_its_thumbnail() -> None:
    small = odd.tiff_tags([8, 8, 8], 2, (16, 12), subfile=1), [bytes((0, 0, 255)) * (16 * 12)]
    page = odd.tiff_tags([8, 8, 8], 2), [bytes((200, 60, 30)) * (64 * 48)]
    data = odd.tiff(small, page)
    picture = decoded(data).picture
    assert (picture.width, picture.height, picture.frames) == (*odd.SIZE, 1)
    assert is_close(pixel_of(data), (200, 60, 30))
    # A later page that is no reduction is another page.
    assert decoded(odd.tiff(page, page, small)).picture.width == odd.WIDTH


# --- PNG ---


def grey_png(depth: int, values: Sequence[int], transparent: int) -> bytes:
    """The left half has the transparent value, the right half the other."""
    samples = [values[0]] * 32 + [values[1]] * 32
    if depth == 16:
        row = struct.pack(">64H", *samples)
    elif depth == 8:
        row = bytes(samples)
    else:
        per_byte = 8 // depth
        row = bytes(
            sum(samples[i + j] << (8 - depth * (j + 1)) for j in range(per_byte))
            for i in range(0, 64, per_byte)
        )
    return odd.png((b"\0" + row) * 48, depth, 0, odd.png_chunk(b"tRNS", struct.pack(">H", transparent)))


@pytest.mark.parametrize(("depth", "shown"), [(1, 1), (2, 1), (4, 3), (8, 51), (16, 13107)])
def test_the_transparent_value_of_a_grey_png_is_transparent(depth: int, shown: int) -> None:
    top = 2**depth - 1
    transparent = 0 if depth == 1 else top
    data = grey_png(depth, (transparent, shown), transparent)
    assert pixel_of(data, (10, 10))[3] == 0
    grey = round(shown * 255 / top)
    assert is_close(pixel_of(data, (50, 30)), (grey, grey, grey))


def test_16_bit_rgb_png_has_its_transparent_colour() -> None:
    left, right = struct.pack(">3H", 1, 2, 3), struct.pack(">3H", 257, 514, 771)
    row = b"\0" + left * 32 + right * 32
    data = odd.png(row * 48, 16, 2, odd.png_chunk(b"tRNS", left))
    assert (pixel_of(data, (10, 10))[3], pixel_of(data, (50, 10))[3]) == (0, 255)


def gamma_chunk(gamma: float) -> bytes:
    return odd.png_chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def test_gamma_is_applied_as_in_browsers() -> None:
    assert is_close(pixel_of(odd.plain_png((64, 64, 64), gamma_chunk(1.0))), (137, 137, 137))
    assert is_close(pixel_of(odd.plain_png((64, 64, 64), gamma_chunk(1 / 2.2))), (64, 64, 64))
    grey = odd.png((b"\0" + b"\x40" * 64) * 48, 8, 0, gamma_chunk(1.0))
    assert is_close(pixel_of(grey), (137, 137, 137))
    deep = odd.png((b"\0" + b"\x40\x40" * 64) * 48, 16, 0, gamma_chunk(1.0))
    assert is_close(pixel_of(deep), (137, 137, 137))


P3_WHITE_AND_PRIMARIES = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
P3_BY_CHROMIUM = (205, 95, 150)
"""What Chromium shows for (190, 100, 148) in Display P3."""


def test_primaries_and_codes_are_applied_as_in_browsers() -> None:
    stored = (190, 100, 148)
    chrm = odd.png_chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in P3_WHITE_AND_PRIMARIES)))
    assert is_close(pixel_of(odd.plain_png(stored, gamma_chunk(1 / 2.2), chrm)), P3_BY_CHROMIUM, 3)
    cicp = odd.png_chunk(b"cICP", bytes((12, 13, 0, 1)))
    assert is_close(pixel_of(odd.plain_png(stored, cicp)), P3_BY_CHROMIUM, 3)
    assert is_close(pixel_of(odd.plain_png(stored, gamma_chunk(1.0), cicp)), P3_BY_CHROMIUM, 3)
    assert is_close(pixel_of(odd.plain_png(stored, gamma_chunk(1.0), odd.png_chunk(b"sRGB", b"\0"))), stored)
    assert is_close(pixel_of(odd.avif(stored, 12, 13)), P3_BY_CHROMIUM, 3)


@pytest.mark.parametrize("body", [bytes(32), b"\0\0", bytes(31) + b"\1"])
def test_senseless_primaries_are_ignored(body: bytes) -> None:
    chunk = odd.png_chunk(b"cHRM", body)
    assert is_close(pixel_of(odd.plain_png(RED, gamma_chunk(1 / 2.2), chunk)), RED)


@pytest.mark.parametrize(("transfer", "grey"), [(16, 187), (18, 120)])
def test_hdr_is_tone_mapped_as_in_browsers(transfer: int, grey: int) -> None:
    """148 is nearly diffuse white in PQ and less in HLG: Chromium shows `grey`."""
    assert is_close(pixel_of(odd.avif((148, 148, 148), 9, transfer)), (grey,) * 3, 26)
    red, green, blue, _ = pixel_of(odd.avif((190, 100, 148), 9, transfer))
    assert red - green > 140, "colours of BT.2020 are vivid"
    assert red > blue > green
    png = odd.plain_png((148, 148, 148), odd.png_chunk(b"cICP", bytes((9, transfer, 0, 1))))
    assert is_close(pixel_of(png), (grey,) * 3, 26)


MEGABYTE = 1_200_000
DAMAGED_PNGS = {
    "zTXt over 1 MiB": odd.png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(MEGABYTE))),
    "iTXt over 1 MiB": odd.png_chunk(
        b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b" " * MEGABYTE)
    ),
    "iCCP over 1 MiB": odd.png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(MEGABYTE))),
    "text with a wrong checksum": odd.png_chunk(b"tEXt", b"Comment\0hello")[:-1] + b"\0",
    "eXIf without a TIFF header": odd.png_chunk(b"eXIf", b"this is no EXIF"),
    "empty eXIf": odd.png_chunk(b"eXIf", b""),
    "raw EXIF that is not hexadecimal": odd.png_chunk(
        b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n  8\nno hexadecimal digits")
    ),
    "raw EXIF that is cut": odd.png_chunk(b"tEXt", b"Raw profile type exif\0\nexif\n"),
    "short pHYs": odd.png_chunk(b"pHYs", b"\0"),
    "short gAMA": odd.png_chunk(b"gAMA", b"\0"),
    "short cICP": odd.png_chunk(b"cICP", b"\1"),
    "damaged iCCP": odd.png_chunk(b"iCCP", b"profile\0\0no zlib"),
}


@pytest.mark.parametrize("name", DAMAGED_PNGS)
def test_damaged_chunks_do_not_refuse_a_png(name: str) -> None:
    assert is_close(pixel_of(odd.plain_png(RED, DAMAGED_PNGS[name])), RED)


def test_a_png_with_bytes_or_a_broken_chunk_after_its_end_is_shown() -> None:
    whole = odd.plain_png(RED)
    assert is_close(pixel_of(whole + b"trailing bytes"), RED)
    assert is_close(pixel_of(whole[:-12] + odd.png_chunk(b"eXIf", b"no EXIF") + whole[-12:]), RED)
    assert is_close(pixel_of(whole[:-12] + b"\0\0\xff\xfftEXtcut"), RED)


# --- JPEG ---


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_without_its_end_is_whole(progressive: bool) -> None:
    whole = pictures.jpeg(320, 240, progressive=progressive)
    assert worst(thumb_of(whole), thumb_of(whole[:-2])) < 30
    assert is_close(pixel_of(whole[:-2], (300, 20)), pixel_of(whole, (300, 20)), 8)
    assert not decoded(whole[:-2]).picture.damaged


@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("progressive", [False, True])
def test_half_of_a_jpeg_is_shown_as_far_as_it_goes(progressive: bool, in_file: bool, tmp_path: Path) -> None:
    whole = pictures.jpeg(320, 240, progressive=progressive)
    half = whole[: len(whole) * 6 // 10]
    (tmp_path / "half.jpg").write_bytes(half)
    ours = decode_original(tmp_path / "half.jpg" if in_file else half, max_pixels=MAX_PIXELS)
    top = Image.open(io.BytesIO(ours.thumb)).convert("RGB").crop((0, 0, 320, 60))
    # A progressive file is coarse everywhere until its end.
    assert worst(top, thumb_of(whole).crop((0, 0, 320, 60))) < (130 if progressive else 60)
    assert (ours.picture.width, ours.picture.height, ours.picture.damaged) == (320, 240, True)


def test_half_of_a_png_is_shown_as_far_as_it_goes() -> None:
    whole = pictures.encoded(Image.effect_noise(odd.SIZE, 90).convert("RGB"), "PNG")
    ours, reference = thumb_of(whole[: len(whole) // 2]), thumb_of(whole)
    assert ours.convert("RGB").getpixel((5, 5)) == reference.convert("RGB").getpixel((5, 5))


def test_a_jpeg_stored_as_rgb_has_its_colours() -> None:
    assert is_close(pixel_of(odd.jpeg_stored_as_rgb((200, 30, 60))), (200, 30, 60), 3)
    assert is_close(pixel_of(odd.jpeg_stored_as_rgb((200, 30, 60), (2000, 1500))), (200, 30, 60), 3)


@pytest.mark.parametrize(
    "segment",
    [
        b"\xff\xe1\x00\x08Exif\0\0",
        b"\xff\xe1\x00\x0cExif\0\0junk",
        b"\xff\xe2\x00\x08MPF\0xx",
        b"\xff\xed\x00\x10Photoshop 3.\0\0",
        b"\xff\xe2\x00\x10ICC_PROFILE\0\5\1",
    ],
)
def test_damaged_segments_do_not_refuse_a_jpeg(segment: bytes) -> None:
    whole = pictures.jpeg(64, 48)
    assert is_close(pixel_of(whole[:2] + segment + whole[2:]), pixel_of(whole))


# --- GIF, BMP, AVIF ---


def gif_with_a_small_first_frame() -> bytes:
    frame = pictures.encoded(Image.new("P", (20, 10), 1), "GIF")
    return frame[:6] + struct.pack("<HH", *odd.SIZE) + frame[10:]


def test_a_gif_is_clear_around_a_first_frame_smaller_than_its_canvas() -> None:
    data = gif_with_a_small_first_frame()
    assert (decoded(data).picture.width, decoded(data).picture.height) == odd.SIZE
    assert pixel_of(data, (50, 40))[3] == 0
    assert pixel_of(data, (5, 5))[3] == 255


def test_damaged_late_frames_do_not_refuse_the_first() -> None:
    whole = pictures.animated("GIF")
    second = whole.index(b"\x2c", whole.index(b"\x2c") + 1)
    for length in (second + 3, second + 11, len(whole) - 20):
        assert is_close(pixel_of(whole[:length]), (255, 0, 0), 3)
        assert decoded(whole[:length]).picture.frames >= 1


MASKS = {
    "10 bits a channel": (32, (0x3FF00000, 0xFFC00, 0x3FF), 801 << 20 | 200 << 10 | 100, (200, 50, 25)),
    "5, 5, 5 and one of alpha": (16, (0x7C00, 0x3E0, 0x1F, 0x8000), 0xFC00, (255, 0, 0)),
    "transparent": (16, (0x7C00, 0x3E0, 0x1F, 0x8000), 0x7C00, (0, 0, 0, 0)),
    "5, 6, 5": (16, (0xF800, 0x7E0, 0x1F), 0xF800, (255, 0, 0)),
    "4 bits a channel": (16, (0xF00, 0xF0, 0xF, 0xF000), 0x8F40, (255, 68, 0, 136)),
    "reversed": (32, (0xFF, 0xFF00, 0xFF0000), 30 << 16 | 60 << 8 | 200, (200, 60, 30)),
    "top byte": (32, (0xFF000000, 0xFF0000, 0xFF00), 200 << 24 | 60 << 16 | 30 << 8, (200, 60, 30)),
    "28 bits": (32, (0x7F, 0x3F80, 0xFFFC000), 127, (255, 0, 0)),
}


@pytest.mark.parametrize("size", [odd.SIZE, (65, 47)])
@pytest.mark.parametrize("name", MASKS)
def test_a_bmp_may_have_any_masks(name: str, size: tuple[int, int]) -> None:
    bits, masks, value, expected = MASKS[name]
    data = odd.masked_bmp(bits, masks, value, size)
    pixel = pixel_of(data)
    assert is_close(pixel, expected, 1) or (pixel[3], expected[-1]) == (0, 0), pixel
    assert decoded(data).picture.mime == "image/bmp"


def test_an_avif_whose_alpha_lacks_its_size_is_shown() -> None:
    assert is_close(pixel_of(odd.avif_alpha_without_ispe((200, 30, 60, 128))), (200, 30, 60, 128), 3)


# --- profiles ---

SWAPPED = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def grey_profile() -> bytes:
    """A profile for grey whose curve is linear."""
    tags = [
        (b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)),
        (b"kTRC", b"curv" + bytes(8)),
    ]
    offset = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags:
        table += struct.pack(">4sII", name, offset + len(body), len(data))
        body += data.ljust((len(data) + 3) // 4 * 4, b"\0")
    size = offset + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_profile_applies_to_grey_images(mode: str) -> None:
    image = Image.new("L", odd.SIZE, 64)
    if mode == "I;16":
        image = image.convert("I").point(lambda value: value * 257).convert("I;16")
    data = pictures.encoded(image.convert(mode), "PNG", icc_profile=grey_profile())
    assert is_close(pixel_of(data), (137, 137, 137), 3)
    tags = odd.tiff_tags([8], 1, profile=tuple(grey_profile()))
    assert is_close(pixel_of(odd.tiff((tags, [b"\x40" * (64 * 48)]))), (137, 137, 137), 3)


# --- thumbs and variants of small, flat and palette pictures ---


def drawing(size: tuple[int, int]) -> Image.Image:
    """Red and blue stripes and dots, one pixel wide."""
    image = Image.new("RGB", size, "white")
    for x in range(0, size[0], 2):
        image.paste("red" if x % 4 else "blue", (x, 0, x + 1, size[1]))
    return image


@pytest.mark.parametrize("mode", ["RGB", "P"])
@pytest.mark.parametrize("size", [(16, 16), (64, 64), (200, 120)])
def test_small_and_flat_pictures_keep_their_pixels(size: tuple[int, int], mode: str) -> None:
    image = drawing(size)
    data = pictures.encoded(image.quantize(8) if mode == "P" else image, "PNG")
    assert worst(thumb_of(data), image) == 0
    for mime in ("image/webp", "image/jpeg", "image/avif"):
        variant = render_variant(data, width=None, mime=mime, max_pixels=MAX_PIXELS)
        assert worst(Image.open(io.BytesIO(variant)), image) <= 20


def test_a_reduced_drawing_has_full_chroma() -> None:
    image = Image.new("RGB", (1200, 900), "white")
    for x in range(0, 1200, 240):
        image.paste(("red", "blue", "lime", "navy", "orange")[x // 240], (x, 0, x + 100, 900))
    Image.Image.paste(image, Image.radial_gradient("L").convert("RGB"), (0, 0))
    thumb = thumb_of(pictures.encoded(image, "PNG"))
    assert thumb.format == "JPEG"
    assert {layer[1:3] for layer in getattr(thumb, "layer", ())} == {(1, 1)}
    photo = thumb_of(pictures.encoded(pictures.gradient(1200, 900), "PNG"))
    assert (2, 2) in {layer[1:3] for layer in getattr(photo, "layer", ())}


@pytest.mark.parametrize(
    "data",
    [
        odd.plain_tiff("B", (1, 2), 1)[:60],
        b"BM" + bytes(60),
        odd.avif(RED)[:200],
        odd.plain_png(RED)[:40],
    ],
)
def test_an_image_that_cannot_be_shown_has_a_reason(data: bytes) -> None:
    with pytest.raises(Undecodable, match=r"\w"):
        decoded(data)


def test_an_unsupported_depth_is_refused_with_that_reason() -> None:
    with pytest.raises(Undecodable, match=r"unsupported kind .*samples out of range"):
        decoded(odd.plain_tiff("d", (0.5, 0.25, 0.1), 2, sample_format=3))

"""Conversion of an opened image to upright sRGB pixels of a given size, with as little work as possible."""

import io
from contextlib import suppress

import pyvips
from PIL import Image, ImageCms, ImageFile

from tagify.imaging import colour, vips
from tagify.imaging.decode import OpenedImage, Reopen, reopen_with_end

_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

DRAFT_MARGIN = 1.55
"""A JPEG is decoded to at least this multiple of the target size, for the decoder's scaling is slightly soft.
On rendered scenes the result is within 0.002 (SSIM) of libvips, which uses 2 and takes twice the time where
that means the next larger scale."""

_WEBP_MARGIN = 2.0
"""The same for WebP, whose decoder averages areas."""

_FAIL_ON = {"TIFF": "error"}
"""What makes the first attempt of libvips fail: its reader of TIFF fills missing strips without a word."""

_SRGB = ImageCms.createProfile("sRGB")
_ADOBE_RGB = 0
"""The transform of Adobe's marker in a JPEG that is not YCbCr."""


def has_alpha(image: Image.Image) -> bool:
    """Whether any pixel may be transparent."""
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def fit(opened: OpenedImage, box: tuple[int, int]) -> Image.Image:
    """The image upright, reduced to fit `box` as displayed (never enlarged), in sRGB.

    The mode of the result is YCbCr (a JPEG that needed no conversion), L, RGB or RGBA. A file that ends early
    is shown as far as it goes, and `opened.damaged` is set.
    """
    width, height = opened.displayed_size
    scale = min(1.0, box[0] / width, box[1] / height)
    target = max(1, round(width * scale)), max(1, round(height * scale))
    if opened.orientation > 4:  # noqa: PLR2004 - sideways
        target = target[1], target[0]
    pixels = _decode(opened, target)
    transpose = _TRANSPOSES.get(opened.orientation)
    return pixels if transpose is None else pixels.transpose(transpose)


def _decode(opened: OpenedImage, target: tuple[int, int]) -> Image.Image:
    """The stored pixels at the target size, in sRGB: by libvips or Pillow; by Pillow if libvips fails."""
    if opened.reopen is None:
        return _decode_with_pillow(opened, target)
    try:
        return _decode_with_vips(opened, opened.reopen, target)
    except vips.VipsError as error:
        vips.raise_if_out_of_memory(error)
        if not isinstance(opened.header, ImageFile.ImageFile):
            raise
        return _decode_with_pillow(opened, target)


def _decode_with_vips(opened: OpenedImage, reopen: Reopen, target: tuple[int, int]) -> Image.Image:
    reduced = _reduced(opened, reopen, target)
    if opened.space:
        converted = colour.to_srgb(reduced, opened.space)
    else:
        profile = opened.profile if _needs_conversion(opened.profile) else None
        converted = vips.to_srgb(reduced, profile)
    pixels = Image.frombytes(*vips.pixels(converted))
    return pixels.convert("RGBA") if pixels.mode == "LA" else pixels


def _reduced(opened: OpenedImage, reopen: Reopen, target: tuple[int, int]) -> pyvips.Image:
    shrink = min(opened.size[0] / target[0], opened.size[1] / target[1]) / _WEBP_MARGIN
    try:
        return vips.reduce(reopen(shrink, _FAIL_ON.get(opened.format, "truncated")), target)
    except vips.VipsError as error:
        vips.raise_if_out_of_memory(error)
        reduced = vips.reduce(reopen(shrink, "none"), target)
    opened.damaged = True
    return reduced


def _decode_with_pillow(opened: OpenedImage, target: tuple[int, int]) -> Image.Image:
    image = opened.header
    _draft(opened, image, target)
    try:
        pixels = _to_supported_mode(image)
    except OSError as error:
        if error.errno is not None or opened.mime != "image/jpeg":
            raise
        image, opened.damaged = reopen_with_end(opened.stream)
        _draft(opened, image, target)
        pixels = _to_supported_mode(image)
    if pixels.size != target:
        pixels = _resize(pixels, target, _resample_filter(opened, image))
    if opened.space:
        return _from_space(pixels, opened.space)
    return _to_srgb(pixels, opened.profile)


def _resample_filter(opened: OpenedImage, image: Image.Image) -> Image.Resampling:
    """An image that the decoder has reduced is smooth: Hamming, the shortest filter after box, is then within
    0.0011 (SSIM) of libvips, in less than half of the time that Lanczos takes."""
    return Image.Resampling.LANCZOS if image.size == opened.size else Image.Resampling.HAMMING


def _from_space(pixels: Image.Image, space: colour.ColourSpace) -> Image.Image:
    plain = pixels if pixels.mode in ("L", "RGB", "RGBA") else pixels.convert("RGB")
    image = pyvips.Image.new_from_memory(
        plain.tobytes(), plain.width, plain.height, len(plain.getbands()), "uchar"
    )
    return Image.frombytes(*vips.pixels(colour.to_srgb(image.copy(interpretation="srgb"), space)))


def _draft(opened: OpenedImage, image: Image.Image, target: tuple[int, int]) -> None:
    """Let the JPEG decoder reduce by a power of two; a better filter does the rest."""
    if opened.mime != "image/jpeg" or not isinstance(image, ImageFile.ImageFile):
        return
    keep_ycc = image.mode == "RGB" and not _needs_conversion(opened.profile) and not _is_stored_as_rgb(image)
    mode = "YCbCr" if keep_ycc else image.mode
    image.draft(mode, (int(target[0] * DRAFT_MARGIN), int(target[1] * DRAFT_MARGIN)))


def _is_stored_as_rgb(image: ImageFile.ImageFile) -> bool:
    """Whether a JPEG of three channels holds RGB: libjpeg's rules, which do not convert it to YCbCr."""
    if "jfif" in image.info:
        return False
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"] == _ADOBE_RGB)
    return [layer[0] for layer in getattr(image, "layer", ())] == [*b"RGB"]


def _to_supported_mode(image: Image.Image) -> Image.Image:
    """The image in mode YCbCr, L, RGB, RGBA or CMYK; the first frame of an animation."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey_to_8_bit(image)
    if has_alpha(image):
        return image.convert("RGBA")
    if image.mode in ("YCbCr", "L", "RGB", "CMYK"):
        image.load()
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _deep_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """16-bit or 32-bit grey scaled to 8 bits; Pillow's conversion clips at 255 instead."""
    bits = image.info.get("bits", 16)
    deep = image.convert("I") if image.mode != "F" else image
    low, high = deep.getextrema()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return deep.convert("L")
    ceiling = 2.0**bits - 1 if image.mode.startswith("I;16") or high > 255 else 255.0  # noqa: PLR2004
    if image.mode == "F":
        ceiling = max(1.0, high)
    return deep.point(lambda value: value * (255.0 / ceiling)).convert("L")


def _resize(pixels: Image.Image, target: tuple[int, int], resample_filter: Image.Resampling) -> Image.Image:
    """Resize; with premultiplied alpha, so that the colours of transparent pixels do not bleed into edges."""
    if pixels.mode == "RGBA":
        return pixels.convert("RGBa").resize(target, resample_filter, reducing_gap=3.0).convert("RGBA")
    return pixels.resize(target, resample_filter, reducing_gap=3.0)


def _needs_conversion(profile: bytes | None) -> bool:
    """Whether a profile is not an sRGB profile, by its name. Most cameras embed one of those."""
    if not profile:
        return False
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (OSError, ImageCms.PyCMSError):
        return False
    return "srgb" not in name.lower()


def _to_srgb(pixels: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and _needs_conversion(profile):
        alpha = pixels.getchannel("A") if pixels.mode == "RGBA" else None
        colours = pixels.convert("RGB") if pixels.mode in ("RGBA", "YCbCr") else pixels
        # A profile for another colour space than the pixels is ignored, as browsers do.
        with suppress(ImageCms.PyCMSError):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
            if converted is not None:
                if alpha is not None:
                    converted.putalpha(alpha)
                return converted
    return pixels.convert("RGB") if pixels.mode == "CMYK" else pixels


def flatten_on_white(pixels: Image.Image) -> Image.Image:
    """The image without transparency, on a white background."""
    if pixels.mode != "RGBA":
        return pixels
    background = Image.new("RGBA", pixels.size, "white")
    return Image.alpha_composite(background, pixels).convert("RGB")

"""From an opened image to upright sRGB pixels near a wanted size, with as little work as can be."""

import io

from PIL import Image, ImageCms, ImageFile

_ORIENTATION = 0x0112
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {5, 6, 7, 8}

DRAFT_GAP = 1.55
"""A JPEG is decoded to at least so many times the wanted size. The decoder's own scaling is a little
soft: measured over drawn scenes this stays within 0.002 (SSIM) of libvips, which keeps 2 and takes
twice the time where that makes the difference of a step."""

_SRGB = ImageCms.createProfile("sRGB")


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none or nonsense."""
    value = image.getexif().get(_ORIENTATION, 1)
    return value if isinstance(value, int) and value in _TRANSPOSES else 1


def displayed_size(image: Image.Image) -> tuple[int, int]:
    """Width and height as displayed, that is with the orientation applied."""
    width, height = image.size
    return (height, width) if orientation(image) in _SIDEWAYS else (width, height)


def has_alpha(image: Image.Image) -> bool:
    """Whether any pixel may be transparent."""
    return "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info


def fit(image: ImageFile.ImageFile, box: tuple[int, int]) -> Image.Image:
    """The picture upright, within `box` as displayed (never enlarged), in sRGB.

    Modes that come out: YCbCr (a JPEG that needed no RGB), L, RGB, RGBA.
    """
    turn = orientation(image)
    # A draft changes what the image says of itself; its profile and size must be those of the file.
    profile = image.info.get("icc_profile")
    width, height = image.size
    if turn in _SIDEWAYS:
        box = box[1], box[0]
    scale = min(1.0, box[0] / width, box[1] / height)
    target = max(1, round(width * scale)), max(1, round(height * scale))
    _draft(image, target, keep_ycc=not _is_not_srgb(profile))
    # What the decoder has made smaller is smooth already: there the shortest filter that is no box stays
    # within 0.0011 (SSIM) of libvips, in less than half of the time that Lanczos takes.
    kernel = Image.Resampling.LANCZOS if image.size == (width, height) else Image.Resampling.HAMMING
    pixels = _to_supported_mode(image)
    if pixels.size != target:
        pixels = _resized(pixels, target, kernel)
    pixels = _to_srgb(pixels, profile)
    return pixels.transpose(_TRANSPOSES[turn]) if turn in _TRANSPOSES else pixels


def _draft(image: ImageFile.ImageFile, target: tuple[int, int], *, keep_ycc: bool) -> None:
    """Let the JPEG decoder scale by a power of two, and leave the rest to a better filter."""
    if image.format not in ("JPEG", "MPO"):
        return
    mode = "YCbCr" if keep_ycc and image.mode == "RGB" else image.mode
    image.draft(mode, (int(target[0] * DRAFT_GAP), int(target[1] * DRAFT_GAP)))


def _to_supported_mode(image: Image.Image) -> Image.Image:
    """One of the modes YCbCr, L, RGB, RGBA, CMYK; the first frame of an animation."""
    if image.mode.startswith("I") or image.mode == "F":
        return _deep_grey_to_8_bit(image)
    if has_alpha(image):
        return image.convert("RGBA")
    if image.mode in ("YCbCr", "L", "RGB", "CMYK"):
        image.load()
        return image
    return image.convert("L" if image.mode == "1" else "RGB")


def _deep_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits; Pillow's own conversion clips at 255 where it should scale."""
    deep = image.convert("I") if image.mode != "F" else image
    low, high = deep.getextrema()
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return deep.convert("L")
    ceiling = 65535.0 if image.mode.startswith("I;16") or high > 255 else 255.0  # noqa: PLR2004
    if image.mode == "F":
        ceiling = max(1.0, high)
    return deep.point(lambda value: value * (255.0 / ceiling)).convert("L")


def _resized(pixels: Image.Image, target: tuple[int, int], kernel: Image.Resampling) -> Image.Image:
    """Premultiplied where there is alpha, so that hidden colours do not bleed into edges."""
    if pixels.mode == "RGBA":
        return pixels.convert("RGBa").resize(target, kernel, reducing_gap=3.0).convert("RGBA")
    return pixels.resize(target, kernel, reducing_gap=3.0)


def _is_not_srgb(profile: bytes | None) -> bool:
    """Whether a profile says anything but sRGB. Most cameras embed sRGB under one of its names."""
    if not profile:
        return False
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile)))
    except (OSError, ImageCms.PyCMSError):
        return False
    return "srgb" not in name.lower()


def _to_srgb(pixels: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and _is_not_srgb(profile):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        alpha = pixels.getchannel("A") if pixels.mode == "RGBA" else None
        colours = pixels.convert("RGB") if pixels.mode in ("RGBA", "YCbCr") else pixels
        try:
            converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
        except ImageCms.PyCMSError:
            # A profile of another colour space than the pixels': what browsers ignore, we ignore.
            converted = None
        if converted is not None:
            if alpha is not None:
                converted.putalpha(alpha)
            return converted
    return pixels.convert("RGB") if pixels.mode == "CMYK" else pixels


def flatten_on_white(pixels: Image.Image) -> Image.Image:
    """The picture without transparency, laid on white."""
    if pixels.mode != "RGBA":
        return pixels
    ground = Image.new("RGBA", pixels.size, "white")
    return Image.alpha_composite(ground, pixels).convert("RGB")

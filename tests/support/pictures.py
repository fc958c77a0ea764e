"""Generated image files for tests: every supported format, and malicious ones."""

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

import tagify.imaging  # noqa: F401 - lets Pillow encode HEIC

XMP = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag>{items}</rdf:Bag></dc:subject>'
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)


def gradient(width: int, height: int, seed: int = 0) -> Image.Image:
    """An image of two gradients, different for each seed."""
    red = Image.linear_gradient("L").resize((width, height))
    green = Image.linear_gradient("L").rotate(90).resize((width, height))
    blue = Image.new("L", (width, height), (seed * 37) % 256)
    picture = Image.merge("RGB", (red, green, blue))
    # The seed in a pixel: the images differ for seeds over 255, too.
    picture.putpixel((0, 0), (seed & 255, seed >> 8 & 255, seed >> 16 & 255))
    return picture


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode the image in a format of Pillow."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpeg(width: int = 640, height: int = 480, seed: int = 0, **options: Any) -> bytes:
    """A JPEG."""
    return encoded(gradient(width, height, seed), "JPEG", quality=90, **options)


def png(width: int = 320, height: int = 200, seed: int = 0, *, alpha: bool = False) -> bytes:
    """A PNG; `alpha`: with a transparent left half."""
    picture = gradient(width, height, seed)
    if alpha:
        mask = Image.new("L", (width, height), 255)
        mask.paste(0, (0, 0, width // 2, height))
        picture.putalpha(mask)
    return encoded(picture, "PNG")


def with_keywords(*keywords: str, seed: int = 0) -> bytes:
    """A JPEG with these keywords in its XMP."""
    items = "".join(f"<rdf:li>{word}</rdf:li>" for word in keywords)
    return jpeg(seed=seed, xmp=XMP.format(items=items).encode())


def with_orientation(orientation: int, width: int = 300, height: int = 200) -> bytes:
    """A JPEG with an EXIF orientation, whose pixels are stored so that all eight display the same image."""
    upright = gradient(width, height)
    back = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, "JPEG", quality=95, exif=exif)


def animated(kind: str, colours: Sequence[str] = ("red", "green", "blue")) -> bytes:
    """An animation of plain frames."""
    frames = [Image.new("RGB", (120, 80), colour) for colour in colours]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, loop=0)


def png_16_bit(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG of one colour with 16 bits per channel, which Pillow cannot write."""
    row = b"\0" + struct.pack(">HHH", *colour) * width
    return _png(struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0), zlib.compress(row * height))


def decompression_bomb(side: int = 60_000) -> bytes:
    """A PNG of at most some hundred kilobytes that decodes to a huge square."""
    rows = zlib.compressobj(9)
    packed = rows.compress(bytes(1 << 20)) + rows.flush()
    return _png(struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0), packed)


def _png(header: bytes, packed: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def many_scans_jpeg(side: int = 3000, scans: int = 5000) -> bytes:
    """A progressive JPEG of some kilobytes whose last scan is repeated thousands of times."""
    data = encoded(Image.new("RGB", (side, side), "teal"), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + data[-2:]

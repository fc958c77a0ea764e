"""Loads what decoding loads lazily: a confined process can open no file, so no module either."""

import codecs
import io
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module

from PIL import ExifTags, Image, ImageCms

from tagify.errors import Undecodable
from tagify.imaging.decode import FORMATS
from tagify.imaging.memory_estimate import estimate_decode_bytes
from tagify.imaging.metadata import sidecar_keywords
from tagify.imaging.thumbnail import decode_original
from tagify.imaging.variant import QUALITIES, render_variant

_CODECS = (
    "ascii",
    "cp437",
    "cp1252",
    "latin-1",
    "idna",
    "utf-8-sig",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
)
"""Encodings of texts in metadata; Python loads each at its first use."""

_XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:subject><rdf:Bag><rdf:li>a</rdf:li>'
    b"</rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta>"
)

_MODES = ("RGB", "RGBA", "P", "L", "CMYK")
_SIDE = 16


def preload() -> None:
    """Load every module that decoding and encoding need.

    A forked child decodes and encodes small images of each format, and reports its modules: in the caller
    libvips would start threads, which the workers forked from it later would not have.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        with suppress(BaseException):
            _exercise()
            with os.fdopen(writer, "w") as pipe:
                pipe.write("\n".join(sys.modules))
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        names = pipe.read().split()
    os.waitpid(pid, 0)
    for name in names:
        with suppress(ImportError):
            import_module(name)


def _exercise() -> None:
    """Decode a small image in each format and mode, and encode it in each format of variants."""
    for name in _CODECS:
        codecs.lookup(name)
    datetime.now(UTC).strftime("%c")
    sidecar_keywords(_XMP)
    sidecar_keywords(b"<malformed")
    for format_name in FORMATS:
        for mode in _MODES:
            if data := _encoded(format_name, mode):
                _decode(data)
    _decode(b"not an image")
    for mime in QUALITIES:
        render_variant(_encoded("PNG", "RGBA"), width=_SIDE // 2, mime=mime, max_pixels=_SIDE * _SIDE)


def _encoded(format_name: str, mode: str) -> bytes:
    """A small image with metadata; empty if the format has no such mode, or no encoder."""
    out = io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2020:01:02 03:04:05"
    try:
        Image.new(mode, (_SIDE, _SIDE)).save(out, format_name, exif=exif, xmp=_XMP, icc_profile=_profile())
    except (OSError, KeyError, ValueError, TypeError):
        return b""
    return out.getvalue()


def _profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


def _decode(data: bytes) -> None:
    pixels = _SIDE * _SIDE
    try:
        estimate_decode_bytes(data, max_pixels=pixels)
        decode_original(data, max_pixels=pixels)
    except Undecodable:
        return

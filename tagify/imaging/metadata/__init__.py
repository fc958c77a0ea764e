"""Metadata embedded in an original: time, position, camera and keywords, from EXIF, IPTC and XMP."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from defusedxml import DefusedXmlException, ElementTree
from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from tagify.model import GeoPosition
from tagify.tagnames import normalize_keywords

_IPTC_KEYWORDS = (2, 25)
_EXIF_TIME = "%Y:%m:%d %H:%M:%S"
_SUBJECTS = ".//{http://purl.org/dc/elements/1.1/}subject//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"
_MAX_NAME_LENGTH = 100
"""Maximum length of the name of a camera or lens, in characters; longer ones are cut."""
_POLE = 90.0
_SEXAGESIMAL = (1, 60, 3600)
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


@dataclass(frozen=True, slots=True)
class ImageMetadata:
    """The metadata of an original; a field is empty if it is absent or invalid."""

    taken_at: datetime | None
    keywords: tuple[str, ...]
    camera: str
    lens: str
    position: GeoPosition | None


def read_metadata(image: ImageFile.ImageFile) -> ImageMetadata:
    """The metadata of an opened image. A time without an offset is taken as UTC."""
    exif = image.getexif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    return ImageMetadata(
        taken_at=_taken_at(details),
        keywords=normalize_keywords([*_from_xmp(image), *_from_iptc(image)]),
        camera=_camera(_text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model))),
        lens=_text(details.get(ExifTags.Base.LensModel)),
        position=_position(exif.get_ifd(ExifTags.IFD.GPSInfo)),
    )


def _taken_at(details: Mapping[int, Any]) -> datetime | None:
    for time_tag, offset_tag in (
        (ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
        (ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
    ):
        try:
            local = datetime.strptime(str(details.get(time_tag, "")).strip("\0 "), _EXIF_TIME)
        except ValueError:
            continue
        return local.replace(tzinfo=_zone(str(details.get(offset_tag, ""))))
    return None


def _camera(make: str, model: str) -> str:
    """Make and model; many models already start with the make."""
    return model if model.lower().startswith(make.lower()) else f"{make} {model}".strip()


def _text(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return " ".join("".join(char for char in value if char.isprintable()).split())[:_MAX_NAME_LENGTH]


def _position(gps: Mapping[int, Any]) -> GeoPosition | None:
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), "S")
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), "W")
    if latitude is None or longitude is None or abs(latitude) > _POLE or abs(longitude) > 2 * _POLE:
        return None
    return GeoPosition(latitude, longitude)


def _degrees(parts: object, side: object, negative: str) -> float | None:
    """Decimal degrees from EXIF's rationals for degrees, minutes and seconds, or None if they are invalid."""
    if not isinstance(parts, tuple) or len(parts) != len(_SEXAGESIMAL):
        return None
    try:
        value = sum(float(part) / unit for part, unit in zip(parts, _SEXAGESIMAL, strict=True))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(value):
        return None
    return round(-value if side == negative else value, 7)


def _zone(offset: str) -> timezone:
    if not (match := _OFFSET.match(offset)):
        return UTC
    sign, hours, minutes = match.groups()
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-distance if sign == "-" else distance) if distance < timedelta(days=1) else UTC


def sidecar_keywords(packet: bytes) -> tuple[str, ...]:
    """The keywords (`dc:subject`) of an XMP sidecar file, normalized as tags; none if it is malformed."""
    try:
        root = ElementTree.fromstring(packet)
    except (ElementTree.ParseError, DefusedXmlException, ValueError):
        return ()
    return normalize_keywords(item.text or "" for item in root.iterfind(_SUBJECTS))


def _from_xmp(image: Image.Image) -> list[str]:
    try:
        packet = image.getxmp()
    except Exception:
        # Malformed XML in the metadata is no reason to refuse the image.
        return []
    return list(_subjects(packet))


def _subjects(node: Any) -> Iterable[str]:
    """All texts below a `subject`, at any depth of nested bags and lists."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from _texts(value) if name == "subject" else _subjects(value)
    elif isinstance(node, list):
        for item in node:
            yield from _subjects(item)


def _texts(node: Any) -> Iterable[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, list):
        for item in node:
            yield from _texts(item)


def _from_iptc(image: ImageFile.ImageFile) -> list[str]:
    try:
        values = (IptcImagePlugin.getiptcinfo(image) or {}).get(_IPTC_KEYWORDS, [])
    except Exception:
        return []
    return [_decoded(value) for value in (values if isinstance(values, list) else [values])]


def _decoded(value: bytes) -> str:
    """The text as UTF-8 if it is valid, else as Latin-1: the encoding that IPTC declares is often wrong."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")

"""What an original says of itself: when it was taken, and its keywords."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from PIL import ExifTags, Image, ImageFile, IptcImagePlugin

from tagify.tagnames import clean_all

_IPTC_KEYWORDS = (2, 25)
_EXIF_TIME = "%Y:%m:%d %H:%M:%S"
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")


def taken_at(image: Image.Image) -> datetime | None:
    """When the picture was taken, by EXIF. A camera that tells no offset is taken to mean UTC."""
    details = image.getexif().get_ifd(ExifTags.IFD.Exif)
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


def keywords(image: ImageFile.ImageFile) -> tuple[str, ...]:
    """The keywords of XMP (`dc:subject`) and IPTC (2:25), cleaned as tags, once each."""
    return clean_all([*_from_xmp(image), *_from_iptc(image)])


def _zone(offset: str) -> timezone:
    if not (match := _OFFSET.match(offset)):
        return UTC
    sign, hours, minutes = match.groups()
    distance = timedelta(hours=int(hours), minutes=int(minutes))
    return timezone(-distance if sign == "-" else distance) if distance < timedelta(days=1) else UTC


def _from_xmp(image: Image.Image) -> list[str]:
    try:
        packet = image.getxmp()
    except Exception:
        # Metadata that is no well-formed XML is no reason to refuse the picture.
        return []
    return list(_subjects(packet))


def _subjects(node: Any) -> Iterable[str]:
    """All texts below any `subject`, however the packet nests its bags and lists."""
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
    """IPTC tells its encoding seldom and wrongly: UTF-8 where it is that, else Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")

"""The position in EXIF's GPS directory, and its time."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tagify.imaging.metadata.dates import parse_date
from tagify.imaging.metadata.exif import GpsTag, Value
from tagify.model import GeoPosition

_POLE = 90.0
_SEXAGESIMAL = (1, 60, 3600)
_NO_FIX = "V"
_DAY_S = 86400


def read_position(gps: Mapping[int, Value]) -> GeoPosition | None:
    """The position; None without a fix. Receivers without one write zeros, or the status `V`."""
    latitude = _degrees(gps.get(GpsTag.LATITUDE), gps.get(GpsTag.LATITUDE_REF), "S")
    longitude = _degrees(gps.get(GpsTag.LONGITUDE), gps.get(GpsTag.LONGITUDE_REF), "W")
    if not has_fix(gps) or latitude is None or longitude is None or not (latitude or longitude):
        return None
    if abs(latitude) > _POLE or abs(longitude) > 2 * _POLE:
        return None
    return GeoPosition(latitude, longitude)


def read_gps_time(gps: Mapping[int, Value]) -> datetime | None:
    """The time of the fix, in UTC, to the second."""
    date, time = gps.get(GpsTag.DATE), gps.get(GpsTag.TIME)
    if not has_fix(gps) or not isinstance(date, str) or not isinstance(time, tuple):
        return None
    day = parse_date(date)
    if day is None or len(time) != len(_SEXAGESIMAL):
        return None
    hours, minutes, seconds = time
    elapsed = hours * 3600 + minutes * 60 + seconds
    if not math.isfinite(elapsed) or not 0 <= elapsed <= _DAY_S:
        return None
    midnight = day.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)
    try:
        return midnight + timedelta(seconds=int(elapsed))
    except OverflowError:
        return None


def has_fix(gps: Mapping[int, Value]) -> bool:
    """Whether the receiver had a fix; absent status means that it had."""
    status = gps.get(GpsTag.STATUS)
    return not (isinstance(status, str) and status.strip().upper() == _NO_FIX)


def _degrees(parts: Value | None, side: Value | None, negative: str) -> float | None:
    """Decimal degrees from EXIF's rationals for degrees, minutes and seconds, or None if they are invalid."""
    if not isinstance(parts, tuple) or len(parts) != len(_SEXAGESIMAL):
        return None
    value = sum(float(part) / unit for part, unit in zip(parts, _SEXAGESIMAL, strict=True))
    if not math.isfinite(value):
        return None
    is_negative = isinstance(side, str) and side.strip().upper() == negative
    return round(-value if is_negative else value, 7)

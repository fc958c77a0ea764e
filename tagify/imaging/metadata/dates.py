"""Dates as cameras and programs write them, and the choice of the time of capture.

The order of sources is that of exiftool: EXIF original, EXIF digitized, XMP, IPTC, PNG, modified, GPS.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

_DATE = re.compile(
    r"(?P<year>\d{4})(?:(?P<sep>[:\-/. ])(?P<month>\d\d?)(?:(?P=sep)(?P<day>\d\d?))?|(?P<packed>\d{4}))?"
    r"(?:[T\s]+(?P<hour>\d\d?)[:.]?(?P<minute>\d\d)(?:[:.]?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?P<zone>Z|z|UTC|GMT|[+-]\d\d?(?::?\d\d)?)?(?:\s.*)?",
    re.DOTALL,
)
_OFFSET = re.compile(r"\s*([+-])(\d\d?):?(\d\d)?")
_MAX_OFFSET = timedelta(hours=15)
"""No zone is further from UTC; a larger value is damaged."""

_NO_DATES = {(0, 0, 0), (1, 1, 1)}
"""Dates that programs write where they have none."""

_ZONE_STEP_S = 15 * 60
"""Offsets of all zones are multiples of it."""

_GPS_TOLERANCE_S = 150
"""Difference of a camera's clock and GPS time up to which the zone is taken to be known."""


def parse_date(text: str, offset: str = "", subseconds: str = "") -> datetime | None:
    """The date in a text: of EXIF, ISO 8601, IPTC or RFC 5322. Without a time zone if none is given.

    `offset` and `subseconds` are used if the text has none. Returns None for a placeholder, for a damaged
    date, and for one outside the years 1 to 9999 in UTC, which neither datetime nor MongoDB hold.
    """
    text = text.strip("\0 \t\r\n")
    match = _DATE.fullmatch(text)
    if match is None:
        return _parse_mail_date(text)
    parts = match.groupdict()
    packed = parts["packed"] or ""
    month, day = packed[:2] or parts["month"] or "1", packed[2:] or parts["day"] or "1"
    year_month_day = int(parts["year"]), int(month), int(day)
    fraction = parts["fraction"] or (subseconds.strip("\0 ") if parts["second"] else "")
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction.isascii() and fraction.isdigit() else 0
    clock = int(parts["hour"] or 0), int(parts["minute"] or 0), min(int(parts["second"] or 0), 59)
    if year_month_day in _NO_DATES:
        return None
    try:
        date = datetime(*year_month_day, *clock, microsecond)
    except ValueError:
        return None
    return in_range(date.replace(tzinfo=parse_offset(parts["zone"] or offset)))


def parse_offset(text: str) -> timezone | None:
    """The zone of an offset: `+09:00`, `+0900`, `+9:00`, `+09`, `Z`; None if it is absent or damaged."""
    text = text.strip("\0 ")
    if text.upper() in ("Z", "UTC", "GMT"):
        return UTC
    if not (match := _OFFSET.match(text)):
        return None
    sign, hours, minutes = match.groups()
    distance = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if distance > _MAX_OFFSET:
        return None
    return timezone(-distance if sign == "-" else distance)


def in_range(date: datetime) -> datetime | None:
    """The date if it is within the years 1 to 9999 in UTC, else None."""
    try:
        date.astimezone(UTC) if date.tzinfo else date.replace(tzinfo=UTC)
    except OverflowError:
        return None
    return date


def choose_time(dates: Iterable[datetime | None], gps_time: datetime | None) -> datetime | None:
    """The first of the dates, else the GPS time.

    A date without a zone gets the one in which it was GPS time, if that is a zone's; else it is taken as UTC.
    """
    date = next((date for date in dates if date is not None), gps_time)
    if date is None or date.tzinfo is not None:
        return date
    zone = _zone_by_gps(date, gps_time) if gps_time else UTC
    return in_range(date.replace(tzinfo=zone))


def _zone_by_gps(date: datetime, gps_time: datetime) -> timezone:
    ahead = (date.replace(tzinfo=UTC) - gps_time).total_seconds()
    offset = timedelta(seconds=round(ahead / _ZONE_STEP_S) * _ZONE_STEP_S)
    is_known = abs(ahead - offset.total_seconds()) <= _GPS_TOLERANCE_S and abs(offset) <= _MAX_OFFSET
    return timezone(offset) if is_known else UTC


def _parse_mail_date(text: str) -> datetime | None:
    """A date of RFC 5322, which PNG suggests for its Creation Time."""
    try:
        return in_range(parsedate_to_datetime(text))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

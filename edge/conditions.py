"""Preconditions of RFC 9110, section 13, for representations with a strong ETag. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_TAGS = re.compile(r'\s*(?:W/)?("[^"]*")\s*(?:,|$)')


def not_modified(headers: Mapping[str, str], etag: str, modified: datetime | None) -> bool:
    """Whether the client holds this representation already: 304.

    If-None-Match decides where it is given (weakly, lists and `*` too), else If-Modified-Since.
    """
    tags = headers.get("If-None-Match")
    if tags is not None:
        return tags.strip() == "*" or etag in _TAGS.findall(tags)
    since = _date(headers.get("If-Modified-Since"))
    return since is not None and modified is not None and modified.replace(microsecond=0) <= since


def range_applies(headers: Mapping[str, str], etag: str, modified: datetime | None) -> bool:
    """Whether a Range may be answered with a part: no If-Range, or one that names just this."""
    condition = headers.get("If-Range")
    if condition is None:
        return True
    if condition.strip().startswith(('"', "W/")):
        return condition.strip() == etag
    date = _date(condition)
    return date is not None and modified is not None and modified.replace(microsecond=0) == date


def _date(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

"""Conditional requests (RFC 9110, section 13) for representations with a strong ETag. Pure.

The caller evaluates them in the order of section 13.2.2. `modified` is None where no date is known:
then no condition by date holds, and none fails.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from aiohttp import hdrs
from multidict import MultiMapping

from tagify.web.etags import entity_tags
from tagify.web.field_lines import joined_lines

Headers = MultiMapping[str]


def precondition_failed(headers: Headers, etag: str, modified: datetime | None) -> bool:
    """Whether If-Match, or else If-Unmodified-Since, excludes this representation: 412."""
    if hdrs.IF_MATCH in headers:
        tags = joined_lines(headers, hdrs.IF_MATCH)
        return tags != "*" and etag not in entity_tags(tags)
    if hdrs.IF_UNMODIFIED_SINCE not in headers:
        return False
    since = _parse_date(headers[hdrs.IF_UNMODIFIED_SINCE])
    return since is not None and modified is not None and _truncate_to_seconds(modified) > since


def not_modified(headers: Headers, etag: str, modified: datetime | None) -> bool:
    """Whether the client already has this representation: 304.

    If-None-Match decides where it is given (weak comparison, lists and `*`), else If-Modified-Since.
    """
    if hdrs.IF_NONE_MATCH in headers:
        tags = joined_lines(headers, hdrs.IF_NONE_MATCH)
        return tags == "*" or etag in (tag.removeprefix("W/") for tag in entity_tags(tags))
    if hdrs.IF_MODIFIED_SINCE not in headers:
        return False
    since = _parse_date(headers[hdrs.IF_MODIFIED_SINCE])
    return since is not None and modified is not None and _truncate_to_seconds(modified) <= since


def range_applies(headers: Headers, etag: str, modified: datetime | None) -> bool:
    """Whether a Range header may be honoured: no If-Range, or one that matches exactly."""
    if hdrs.IF_RANGE not in headers:
        return True
    condition = joined_lines(headers, hdrs.IF_RANGE)
    if condition.startswith(('"', "W/")):
        return condition == etag
    date = _parse_date(condition)
    return date is not None and modified is not None and _truncate_to_seconds(modified) == date


def needs_last_modified(headers: Headers) -> bool:
    """Whether a condition by date is decisive, so that the modification date must be known."""
    if hdrs.IF_UNMODIFIED_SINCE in headers and hdrs.IF_MATCH not in headers:
        return True
    if hdrs.IF_MODIFIED_SINCE in headers and hdrs.IF_NONE_MATCH not in headers:
        return True
    return hdrs.IF_RANGE in headers and _parse_date(headers[hdrs.IF_RANGE]) is not None


def _truncate_to_seconds(modified: datetime) -> datetime:
    return modified.replace(microsecond=0)


def _parse_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

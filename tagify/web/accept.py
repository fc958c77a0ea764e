"""Patterns for the Accept header (RFC 9110, section 12.5.1), shared by the edge and by NGINX's cache key."""

import re


def accepts_pattern(mime: str) -> str:
    """A regular expression that finds this media type in an Accept header.

    Not where its weight is 0 or malformed. To be searched ignoring case. A wildcard does not match: clients
    without support for new formats send `*/*` too.
    """
    parameter = r"(?:;[ \t]*(?!q[ \t]*=)[^;,]*)*"
    value = r"(?:1(?:\.0{0,3})?|0?\.(?!0*[ \t]*(?:[;,]|$))[0-9]{1,3})"
    weight = rf"(?:;[ \t]*q[ \t]*=[ \t]*{value}[ \t]*(?:;[^,]*)?)?"
    return rf"(?:^|,)[ \t]*{re.escape(mime)}[ \t]*{parameter}{weight}(?:,|$)"

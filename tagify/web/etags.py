"""Conditional requests: entity tags and `If-None-Match`."""

import re

from aiohttp import hdrs, web

from tagify.web.field_lines import joined_lines

_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*"'
# Possessive quantifiers: a long list of commas and blanks must not make the match backtrack.
_ENTITY_TAG_LIST = re.compile(rf"[ \t,]*+{_ENTITY_TAG}(?:[ \t]*+,[ \t]*+(?:{_ENTITY_TAG})?+)*+[ \t]*+")
_EACH_ENTITY_TAG = re.compile(_ENTITY_TAG)


def etag_matches(request: web.Request, etag: str) -> bool:
    """Whether `If-None-Match` contains this entity tag (given without quotes) or `*`.

    Uses weak comparison, as RFC 9110 requires: NGINX makes a tag weak when it compresses.
    """
    tags = joined_lines(request.headers, hdrs.IF_NONE_MATCH)
    return tags == "*" or f'"{etag}"' in (tag.removeprefix("W/") for tag in entity_tags(tags))


def entity_tags(tags: str) -> list[str]:
    """The entity tags of a list; none of a malformed list."""
    return _EACH_ENTITY_TAG.findall(tags) if _ENTITY_TAG_LIST.fullmatch(tags) else []

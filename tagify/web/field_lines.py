"""Header fields that a client may send in several lines (RFC 9110, section 5.3)."""

from multidict import MultiMapping


def joined_lines(headers: MultiMapping[str], name: str) -> str:
    """The value of a list-based field: all its lines, joined by commas; empty without the field."""
    return ", ".join(headers.getall(name, ())).strip(" \t")

"""Text of others, such as file names, made safe to print: a terminal obeys control characters."""

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters but tab and newline, those that change the direction of text, and surrogates."""


def has_control_characters(text: str) -> bool:
    """Whether a name has characters that a terminal or a log would obey, line breaks included."""
    return bool(_CONTROL.search(text)) or "\n" in text or "\t" in text


def printable(text: str) -> str:
    """The text with control characters escaped; lines stay."""
    return _CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable_line(text: str) -> str:
    """The text in one line, with control characters escaped."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")

"""Rules for tag names: normalisation, validation, and when two names are the same tag."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping

MAX_LENGTH = 100
"""Maximum length of a tag's name, in characters."""

MAX_KEYWORDS = 200
"""Maximum number of keywords that one file adds as tags; the rest is left out."""

MAX_TAGS_PER_IMAGE = 500
"""Maximum number of tags of one image: its document, and each event about it, stay below 0.3 MB."""


_REFUSED_CATEGORIES = {"Cc", "Cs", "Co", "Zl", "Zp"}
"""Controls, surrogates, private use, separators of lines. Not Cn: a character that this Python's table lacks
may be a letter or emoji of a newer Unicode."""

_NONCHARACTERS = re.compile(
    "[\ufdd0-\ufdef"
    + "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
    + "]"
)
"""Code points that never become characters. Autocomplete needs the last one as the end of a range."""

_INVISIBLE = re.compile(
    "[\\s\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
"""White space, Unicode's Default_Ignorable_Code_Point, and the empty Braille pattern."""

EXPANDED_CHARACTERS = "ßŉևẚẞᾀ-ᾯᾲ-ᾴᾷᾼῂ-ῄῇῌῲ-ῴῷῼﬀ-ﬆﬓ-ﬗ"
"""The characters that full case folding expands, for the brackets of a regular expression. Tags with one of
them had another key in version 0.1.0."""


def normalize_tag(name: str) -> str:
    """The name of a new tag as it is stored: NFC, trimmed. Raises ValueError with a message for users."""
    text = normalize_existing_tag(name)
    if _INVISIBLE.fullmatch(text):
        raise ValueError("a tag must not be invisible: it has no character that can be seen")
    return text


def normalize_existing_tag(name: str) -> str:
    """The name as it is stored; also invisible ones, which older versions took, so that they can be removed.

    Raises ValueError with a message for users.
    """
    text = unicodedata.normalize("NFC", name).strip()
    if not text:
        raise ValueError("a tag must not be empty")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a tag has at most {MAX_LENGTH} characters, this one has {len(text)}")
    if any(unicodedata.category(char) in _REFUSED_CATEGORIES for char in text) or _NONCHARACTERS.search(text):
        raise ValueError("a tag must not contain control characters")
    return text


def normalize_keywords(names: Iterable[str]) -> tuple[str, ...]:
    """The valid names among keywords read from a file, normalised, without duplicates."""
    tags: dict[str, str] = {}
    for name in names:
        try:
            text = normalize_tag(name)
        except ValueError:
            continue
        tags.setdefault(tag_key(text), text)
    return tuple(tags.values())


@functools.lru_cache(maxsize=10_000)
def tag_key(name: str) -> str:
    """The key of a tag: equal for names that differ only in case. The first spelling in use is kept.

    Simple case folding, one character for one: full folding makes "Maße" and "Masse" one tag.
    """
    folded = name.casefold()
    if len(folded) != len(name):
        folded = "".join(map(_fold, name))
    return unicodedata.normalize("NFC", folded)


def full_folding_key(name: str) -> str:
    """The key that version 0.1.0 stored: by full case folding, "ß" as "ss"."""
    return unicodedata.normalize("NFC", name.casefold())


def _fold(char: str) -> str:
    folded = char.casefold()
    return folded if len(folded) == 1 else char.lower()


class TagSpellings:
    """Chooses the spelling of each tag: the one in use, else the first that is requested."""

    def __init__(self, in_use: Mapping[str, str]) -> None:
        """`in_use` maps keys (`tag_key`) to names."""
        self._names = dict(in_use)

    def spelling_of(self, name: str) -> str:
        """The spelling to store for this name."""
        return self._names.setdefault(tag_key(name), name)

    def spellings_of(self, names: Iterable[str]) -> list[str]:
        """The spellings to store for these names, in order, without duplicates."""
        return list(dict.fromkeys(self.spelling_of(name) for name in names))

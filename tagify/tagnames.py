"""Rules for tag names: normalisation, validation, and when two names are the same tag."""

import functools
import unicodedata
from collections.abc import Iterable, Mapping

MAX_LENGTH = 100
"""Maximum length of a tag's name, in characters."""

MAX_KEYWORDS = 200
"""Maximum number of keywords that one file adds as tags; the rest is left out."""

MAX_TAGS_PER_IMAGE = 500
"""Maximum number of tags of one image: its document, and each event about it, stay below 0.3 MB."""


def normalize_tag(name: str) -> str:
    """The name as it is stored: NFC, trimmed. Raises ValueError with a message for users."""
    text = unicodedata.normalize("NFC", name).strip()
    if not text:
        raise ValueError("a tag must not be empty")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a tag has at most {MAX_LENGTH} characters, this one has {len(text)}")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for char in text):
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
    """The key of a tag: equal for names that differ only in case. The first spelling in use is kept."""
    return unicodedata.normalize("NFC", name.casefold())


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

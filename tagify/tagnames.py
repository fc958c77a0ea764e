"""What a tag may be called, and which names are the same tag."""

import functools
import unicodedata
from collections.abc import Iterable, Mapping

MAX_LENGTH = 100
"""Characters in a tag's name, at most."""


def normalize_tag(name: str) -> str:
    """The name as it is kept: NFC, trimmed. Raises ValueError with a reason for people."""
    text = unicodedata.normalize("NFC", name).strip()
    if not text:
        raise ValueError("a tag must not be empty")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a tag has at most {MAX_LENGTH} characters, this one has {len(text)}")
    if any(unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp") for char in text):
        raise ValueError("a tag must not contain control characters")
    return text


def normalize_keywords(names: Iterable[str]) -> tuple[str, ...]:
    """The acceptable ones among names that nobody typed here (keywords in files), once each."""
    found: dict[str, str] = {}
    for name in names:
        try:
            text = normalize_tag(name)
        except ValueError:
            continue
        found.setdefault(tag_key(text), text)
    return tuple(found.values())


@functools.lru_cache(maxsize=10_000)
def tag_key(name: str) -> str:
    """Equal for names that differ in case only: they are one tag, in the spelling that came first."""
    return unicodedata.normalize("NFC", name.casefold())


class TagSpellings:
    """How each tag is spelt: as it is known already, else as it is asked for first."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """`known` maps keys (`key_of`) to names."""
        self._names = dict(known)

    def spelling_of(self, name: str) -> str:
        """The spelling to store for this name."""
        return self._names.setdefault(tag_key(name), name)

    def spellings_of(self, names: Iterable[str]) -> list[str]:
        """The spellings of all, in order, once each."""
        return list(dict.fromkeys(self.spelling_of(name) for name in names))

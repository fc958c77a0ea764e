"""A variant by what names it."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Self

from tagify.model import THUMB_RECIPE, THUMB_SIZE, VARIANT_MIMES, Content, is_content

RECIPE = "v2"
"""How variants are made today; a better encoder is another recipe, under other keys."""

THUMB = 0
"""The width that stands for the thumb as it is, in another format."""

_PATH = re.compile(r"/media/([^/]+)/([1-9][0-9]{0,4})\.([^/]+)")


@dataclass(frozen=True, slots=True)
class VariantKey:
    """A variant. `width` is one of the ladder's or THUMB, `ending` one of VARIANT_MIMES."""

    content: Content
    width: int
    extension: str

    @property
    def path(self) -> str:
        """What the memory knows it by: the path of its URL, where it has one."""
        return f"/media/{self.content}/{self.width}.{self.extension}" if self.width else self.cache_key

    @property
    def cache_key(self) -> str:
        """What it is kept under, and its ETag: everything that changes its bytes."""
        width = self.width or "thumb"
        return f"{RECIPE}-{THUMB_RECIPE}-{self.content}-{width}-{self.extension}"

    @property
    def alias_key(self) -> str:
        """What the width of another variant is kept under that has the same bytes."""
        return f"{self.cache_key}-is"

    def with_width(self, width: int) -> Self:
        """The same in another width."""
        return replace(self, width=width)

    @property
    def etag(self) -> str:
        """Its entity tag, strong."""
        return f'"{self.cache_key}"'

    @property
    def mime(self) -> str:
        """Its media type."""
        return VARIANT_MIMES[self.extension]

    @property
    def may_use_thumb(self) -> bool:
        """Whether a thumb can be large enough for it."""
        return self.width <= THUMB_SIZE


def parse_path(path: str, widths: Container[int]) -> VariantKey | None:
    """The variant whose path this is, on a ladder of these widths; None where it is none's."""
    match = _PATH.fullmatch(path)
    if match is None or not is_content(match[1]) or match[3] not in VARIANT_MIMES:
        return None
    width = int(match[2])
    return VariantKey(Content(match[1]), width, match[3]) if width in widths else None


def all_variant_keys(content: Content, widths: Sequence[int]) -> list[VariantKey]:
    """Every variant that there can be of a content, on a ladder of these widths."""
    return [
        VariantKey(content, width, extension) for width in (THUMB, *widths) for extension in VARIANT_MIMES
    ]

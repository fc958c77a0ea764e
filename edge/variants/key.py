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
    ending: str

    @property
    def path(self) -> str:
        """What the memory knows it by: the path of its URL, where it has one."""
        return f"/media/{self.content}/{self.width}.{self.ending}" if self.width else self.key

    @property
    def key(self) -> str:
        """What it is kept under, and its ETag: everything that changes its bytes."""
        width = self.width or "thumb"
        return f"{RECIPE}-{THUMB_RECIPE}-{self.content}-{width}-{self.ending}"

    @property
    def width_key(self) -> str:
        """What the width of another variant is kept under that has the same bytes."""
        return f"{self.key}-is"

    def at(self, width: int) -> Self:
        """The same in another width."""
        return replace(self, width=width)

    @property
    def etag(self) -> str:
        """Its entity tag, strong."""
        return f'"{self.key}"'

    @property
    def mime(self) -> str:
        """Its media type."""
        return VARIANT_MIMES[self.ending]

    @property
    def thumb_may_do(self) -> bool:
        """Whether a thumb can be large enough for it."""
        return self.width <= THUMB_SIZE


def named(path: str, widths: Container[int]) -> VariantKey | None:
    """The variant whose path this is, on a ladder of these widths; None where it is none's."""
    found = _PATH.fullmatch(path)
    if found is None or not is_content(found[1]) or found[3] not in VARIANT_MIMES:
        return None
    width = int(found[2])
    return VariantKey(Content(found[1]), width, found[3]) if width in widths else None


def all_of(content: Content, widths: Sequence[int]) -> list[VariantKey]:
    """Every variant that there can be of a content, on a ladder of these widths."""
    return [VariantKey(content, width, ending) for width in (THUMB, *widths) for ending in VARIANT_MIMES]

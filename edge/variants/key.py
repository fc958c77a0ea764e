"""Keys of variants: URL path, cache key and ETag follow from content, width and format."""

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from typing import Self

from tagify.model import THUMB_RECIPE, THUMB_SIZE, VARIANT_MIMES, Content, is_content

RECIPE = "v3"
"""Version of the rendering. Increase it when the encoder changes: it is part of every cache key."""

THUMB = 0
"""Width of the thumb in another format: not scaled."""

_PATH = re.compile(r"/media/([^/]+)/([1-9][0-9]{0,4})\.([^/]+)")


@dataclass(frozen=True, slots=True)
class VariantKey:
    """Identifies a variant. `width` is a configured width or THUMB, `extension` a key of VARIANT_MIMES."""

    content: Content
    width: int
    extension: str

    @property
    def path(self) -> str:
        """The URL path, which is the key in the memory cache; the cache key where there is no URL."""
        return f"/media/{self.content}/{self.width}.{self.extension}" if self.width else self.cache_key

    @property
    def cache_key(self) -> str:
        """Key in the disk cache, and the ETag: contains everything that affects the bytes."""
        width = self.width or "thumb"
        return f"{RECIPE}-{THUMB_RECIPE}-{self.content}-{width}-{self.extension}"

    @property
    def alias_key(self) -> str:
        """Key under which the disk cache stores the width of another variant with the same bytes."""
        return f"{self.cache_key}-is"

    def with_width(self, width: int) -> Self:
        """The variant of another width."""
        return replace(self, width=width)

    @property
    def etag(self) -> str:
        """Strong entity tag."""
        return f'"{self.cache_key}"'

    @property
    def mime(self) -> str:
        """Media type."""
        return VARIANT_MIMES[self.extension]

    @property
    def may_use_thumb(self) -> bool:
        """Whether a thumb may be wide enough to render from."""
        return self.width <= THUMB_SIZE


def parse_path(path: str, widths: Container[int]) -> VariantKey | None:
    """The variant of a URL path, among these widths; None for any other path."""
    match = _PATH.fullmatch(path)
    if match is None or not is_content(match[1]) or match[3] not in VARIANT_MIMES:
        return None
    width = int(match[2])
    return VariantKey(Content(match[1]), width, match[3]) if width in widths else None


def all_variant_keys(content: Content, widths: Sequence[int]) -> list[VariantKey]:
    """Every variant that a content can have with these widths."""
    return [
        VariantKey(content, width, extension) for width in (THUMB, *widths) for extension in VARIANT_MIMES
    ]

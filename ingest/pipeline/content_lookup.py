"""What the importer needs from the catalog before it uploads, as an interface."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tagify.model import CatalogEntry, Content, ImageId


@dataclass(frozen=True, slots=True)
class ContentMatches:
    """Images in the catalog with a given content.

    `stored`: one of them is ready, so the objects are in the store. `known`: there is one in any state, so
    they may be in the store. `moved_from`: an image whose file has left its path, or None.
    `ready`: the images that are ready. `out_of_reach`: images of libraries that are suspended or being
    removed.
    """

    stored: bool
    known: bool
    moved_from: CatalogEntry | None
    ready: Sequence[CatalogEntry] = ()
    out_of_reach: tuple[ImageId, ...] = ()


class MovePending(Exception):
    """The file may be a copy of one that has moved, which is not in the catalog yet."""

    def __init__(self, written: asyncio.Future[None]) -> None:
        """`written` is resolved when the moves that are being looked for are in the catalog."""
        super().__init__("an image with this content may have moved")
        self.written = written


class ContentLookup(Protocol):
    """Finds images by content. Implemented by `ingest.sync.content_lookup`."""

    async def check_moves(self, content: Content) -> None:
        """Raises MovePending if a search for moves is running. Before decoding, which would be in vain."""
        ...

    async def matches(self, content: Content) -> ContentMatches:
        """The images with this content. Raises MovePending."""
        ...

"""What the catalog says of images and contents; remembered, so that media go on while it is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from edge.circuit import Circuit
from edge.kept import Kept
from edge.origin import Origin
from tagify.catalog import Catalog
from tagify.errors import Unavailable
from tagify.metrics import Counter
from tagify.model import Content, Image, ImageId, Original

T = TypeVar("T")

PATIENCE_S = 1.0
"""Longest wait for the catalog where there is another answer, in seconds."""

IMAGES = 20_000
"""Images that are remembered, of some kilobyte each at most."""

STALE_S = 86_400.0
"""How long what was said of an image may stand in for an answer, in seconds."""

ORIGINALS = 20_000
LIFETIME_S = 3600.0
"""How long what was said of a content is taken for granted, in seconds: its length never changes."""


class Lookup:
    """Asks the catalog; where it is away, says what it said last."""

    def __init__(
        self, catalog: Catalog, origin: Origin, circuit: Circuit, *, wait_s: float, stale: Counter
    ) -> None:
        self._catalog = catalog
        self._origin = origin
        self._circuit = circuit
        self._wait_s = wait_s
        self._stale = stale
        self._images: Kept[ImageId, Image] = Kept(IMAGES, STALE_S)
        self._originals: Kept[Content, Original] = Kept(ORIGINALS, LIFETIME_S)

    async def image(self, image_id: ImageId) -> Image | None:
        """The image, as it is or as it was when the catalog last answered. Raises Unavailable."""
        known = self._images.get(image_id)
        try:
            image = await self._asked(
                lambda: self._catalog.images.get(image_id), PATIENCE_S if known else self._wait_s
            )
        except Unavailable:
            if known is None:
                raise
            self._stale.add()
            return known
        if image is None:
            self._images.drop(image_id)
        else:
            self._images.put(image_id, image)
        return image

    async def original(self, content: Content) -> Original:
        """Length and type of a content, by the catalog, else by the store. Raises NotFound, Unavailable."""
        known = self._originals.get(content)
        if known is not None:
            return known
        try:
            said = await self._asked(lambda: self._catalog.images.original(content), PATIENCE_S)
        except Unavailable:
            said = None
        if said is None:
            facts = await self._origin.facts(content)
            return Original(facts.length, facts.mime)
        self._originals.put(content, said)
        return said

    async def _asked(self, question: Callable[[], Awaitable[T]], wait_s: float) -> T:
        with self._circuit.call():
            try:
                async with asyncio.timeout(wait_s):
                    return await question()
            except TimeoutError as error:
                raise Unavailable("MongoDB does not answer in time") from error

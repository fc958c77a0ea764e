"""An import, as the database sees one: batches of new images with their tags, in transactions.

`python -m bench.lib.import_load URI` writes 100 images a second until it ends. Decoding is left out: it would
measure the processor, and how much of it an import takes is a setting.
"""

import asyncio
import hashlib
import itertools
import os
import sys

from bench.lib import million_images
from bench.lib.servers import opened
from tagify.catalog import UpsertImage
from tagify.model import Content, FileFacts, LibraryId, Picture

BATCH = 25
EVERY_S = 0.25


def batch(first: int, run: str) -> list[UpsertImage]:
    """Images that were never there before."""
    library = LibraryId(str(million_images.library_id(0)))
    return [
        UpsertImage(
            library,
            FileFacts(f"import-{run}/{number:06}.jpg", 1000, number, number),
            Content(hashlib.sha256(f"{run}{number}".encode()).hexdigest()),
            Picture("image/jpeg", 4032, 3024, bytes(25), keywords=("day", f"tag {number % 300:03}")),
        )
        for number in range(first, first + BATCH)
    ]


async def main(uri: str) -> None:
    run = os.urandom(4).hex()
    async with opened(uri) as catalog:
        for first in itertools.count(0, BATCH):
            _, _ = await asyncio.gather(catalog.images.write(batch(first, run)), asyncio.sleep(EVERY_S))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

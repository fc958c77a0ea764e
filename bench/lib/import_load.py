"""The database load of an import: batches of new images with tags, in transactions.

`python -m bench.lib.import_load URI` writes 100 images a second until it is terminated. Nothing is decoded:
that would load the processor, and how much of it an import uses is a setting.
"""

import asyncio
import hashlib
import itertools
import os
import sys

from bench.lib import million_images
from bench.lib.servers import open_catalog
from tagify.catalog import UpsertImage
from tagify.model import Content, FileFacts, LibraryId, Picture

BATCH = 25
INTERVAL_S = 0.25


def new_images(first: int, run: str) -> list[UpsertImage]:
    """New images."""
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
    async with open_catalog(uri) as catalog:
        for first in itertools.count(0, BATCH):
            _, _ = await asyncio.gather(
                catalog.images.write(new_images(first, run)), asyncio.sleep(INTERVAL_S)
            )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

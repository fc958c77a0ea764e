"""A library on disk, its images in the catalog, and an ingest daemon in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp.test_utils import TestServer

from ingest.app import build
from tagify.catalog import Catalog, ImageFilter
from tagify.model import Image, ImageState, Library, LibraryState
from tagify.settings import IngestSettings
from tests.support.waiting import until


class IngestHarness:
    """A library on disk and its images in the catalog."""

    def __init__(self, root: Path, catalog: Catalog, library: Library, settings: IngestSettings) -> None:
        self.root = root
        self.catalog = catalog
        self.library = library
        self.settings = settings

    async def images_by_path(self, state: ImageState = ImageState.READY) -> dict[str, Image]:
        filter_ = ImageFilter(library_id=self.library.id, state=state)
        images = await self.catalog.listing.newest(filter_, limit=1000)
        return {image.file.path: image for image in images}

    async def wait_for_images(self, *paths: str, state: ImageState = ImageState.READY) -> dict[str, Image]:
        async def probe() -> bool:
            return (await self.images_by_path(state)).keys() == set(paths)

        await until(probe)
        return await self.images_by_path(state)

    async def load_library(self) -> Library:
        library = await self.catalog.libraries.get(self.library.id)
        assert library is not None
        return library

    async def is_scanned(self) -> bool:
        library = await self.load_library()
        return library.last_scanned is not None and not library.scanning

    @asynccontextmanager
    async def running_ingest(self, *, scanned: bool = True) -> AsyncIterator[TestServer]:
        """Run the daemon in this process; `scanned` waits for its first scan. Yields its HTTP server."""
        server = TestServer(build(self.settings))
        await server.start_server()
        try:
            if scanned:
                await until(self.is_scanned)
            yield server
        finally:
            await server.close()

    async def has_state(self, state: LibraryState) -> bool:
        return (await self.load_library()).state is state

"""The documents and indexes of a database in use are those of docs/explanation/data-model.md."""

from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient

from tagify.catalog import Catalog, ImageFilter, MarkMissing
from tagify.model import Library, LibraryState, PendingApproval, RootIdentity, RootProbe
from tests.conftest import Values
from tests.support.catalog_fixtures import insert_images, remove_library
from tests.support.data_model import documented_collections, documented_fields, documented_indexes


async def test_every_stored_field_and_index_is_documented(catalog: Catalog, mongo_values: Values) -> None:
    kept = await catalog.libraries.create("Kept", "/srv/kept")
    removed = await catalog.libraries.create("Removed", "/srv/removed")
    images = await insert_images(catalog, kept, 4, "sea", "sun")
    await insert_images(catalog, removed, 2, "sea")
    await write_status(catalog, kept)
    await catalog.images.write([MarkMissing(images[0], kept.id, "000000.jpg")])
    change = await catalog.tags.change(images, ["beach"], ["sun"])
    await catalog.tags.undo(change.undo)
    await run_rename(catalog, "sea", "Sea")
    await remove_library(catalog, removed)
    claimed = await catalog.deletion_queue.claim(0, "test")
    assert claimed is not None
    await catalog.purge_log.append(claimed.objects)
    await insert_images(catalog, kept, 1, start=10)
    assert len(await catalog.listing.newest(ImageFilter(), limit=10)) == 4

    with MongoClient[dict[str, Any]](mongo_values["mongo_uri"]) as client:
        database = client.get_database(mongo_values["mongo_database"])
        assert set(database.list_collection_names()) == documented_collections()
        for collection in documented_collections():
            stored = {field for doc in database[collection].find() for field in doc}
            assert stored, f"the test writes nothing to {collection}"
            assert stored <= documented_fields(collection), collection
            indexes = {
                name: dict(index["key"]) for name, index in database[collection].index_information().items()
            }
            assert indexes == {"_id_": {"_id": 1}, **documented_indexes(collection)}


async def write_status(catalog: Catalog, library: Library) -> None:
    """Everything that ingest reports about a library."""
    lease = await catalog.leases.acquire(library.id, "test", 20)
    status = catalog.library_status(library.id, lambda: lease.token)
    await status.fence_older_leases()
    await status.set_identity(RootIdentity(1, 2, marked=True))
    await status.begin_scan()
    await status.report_scan_progress(4, 1)
    await status.set_pending_deletions(
        PendingApproval(RootProbe(RootIdentity(1, 2, marked=True), is_empty=False), 60)
    )
    await status.set_skipped([(".mov", 2)])
    await status.end_scan("stopped")
    await catalog.libraries.approve(library.id)
    await status.set_state(LibraryState.SUSPENDED, "no folder")
    await status.clear_pending_deletions()


async def run_rename(catalog: Catalog, source: str, target: str) -> None:
    job = await catalog.tag_jobs.enqueue_rename(source, target, None)
    claimed = await catalog.tag_jobs.acquire_oldest()
    assert claimed is not None
    while await catalog.tag_jobs.run_step(claimed):
        pass
    done = await catalog.tag_jobs.get(job.id)
    assert done is not None
    assert done.finished_at is not None
    assert done.finished_at <= datetime.now(UTC)

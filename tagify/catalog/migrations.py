"""Migrations of what older versions stored. Each runs once per catalog.

A document in `migrations` marks a migration as done. It is written after the last change of the migration, so
that one that was interrupted runs again; each is idempotent, and safe beside other writes and other starts.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from tagify.catalog.autocomplete import backfill_prefixes
from tagify.catalog.counters import recount_failed, rekey_tags
from tagify.catalog.database import Database
from tagify.catalog.transactions import Transactions


async def run_migrations(database: Database, transactions: Transactions) -> None:
    """Run the migrations that are not marked as done."""
    migrations: dict[str, Callable[[], Awaitable[object]]] = {
        "tag_prefixes": lambda: backfill_prefixes(database.tags),
        "tag_keys": lambda: rekey_tags(database, transactions),
        "failed_counts": lambda: recount_failed(database, transactions),
    }
    done = {doc["_id"] async for doc in database.migrations.find({}, {"_id": 1})}
    for name, migrate in migrations.items():
        if name not in done:
            await migrate()
            mark = {"$setOnInsert": {"at": datetime.now(UTC)}}
            await database.migrations.update_one({"_id": name}, mark, upsert=True)

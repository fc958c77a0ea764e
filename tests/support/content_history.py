"""Every content that any image ever had, read from a change stream."""

from typing import Any

from pymongo import MongoClient

from tagify.settings import IngestSettings


class ContentHistory:
    """Records, from its creation on, each content that any image had. Close it."""

    def __init__(self, settings: IngestSettings) -> None:
        self._client = MongoClient[dict[str, Any]](settings.mongo_uri.get_secret_value())
        self._stream = self._client[settings.mongo_database].images.watch()
        self.added_count = 0
        self.contents: set[str | None] = set()

    def consume(self) -> None:
        """Read the changes so far: images added, and their contents (None if not decoded)."""
        while (event := self._stream.try_next()) is not None:
            if event["operationType"] == "insert":
                self.added_count += 1
                self.contents.add(event["fullDocument"]["content"])
            elif event["operationType"] == "update":
                updated = event["updateDescription"]["updatedFields"]
                self.contents |= {updated["content"]} if "content" in updated else set()

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()
        self._client.close()

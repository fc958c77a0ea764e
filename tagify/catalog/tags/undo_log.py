"""Undo log: records of tag changes, by which they can be undone for an hour.

One record per transaction of a change, written in it. A TTL index removes expired records within about a
minute, so readers check the time too.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from tagify.catalog.tags.edits import UNDO_LIFETIME, EditResult, IndexedTag

Doc = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeIdentity:
    """Identifies a change: `change_id` in the logs of images, `undo_token` for the client."""

    change_id: ObjectId = field(default_factory=ObjectId)
    undo_token: str = field(default_factory=lambda: secrets.token_urlsafe(18))


@dataclass(frozen=True, slots=True)
class RecordedEdit:
    """The tags that a change added to and removed from one image."""

    added: Sequence[str]
    removed: Sequence[IndexedTag]


def build_record(identity: ChangeIdentity, results: Mapping[ObjectId, EditResult]) -> dict[str, Any]:
    """The undo record of one transaction. Images with equal edits are stored as one group."""
    name_indexes: dict[str, int] = {}

    def name_index(tag: str) -> int:
        return name_indexes.setdefault(tag, len(name_indexes))

    groups: dict[tuple[tuple[int, ...], tuple[tuple[int, int], ...]], list[ObjectId]] = {}
    for image_id, result in results.items():
        added = tuple(name_index(tag) for tag in result.added)
        removed = tuple((index, name_index(tag)) for index, tag in result.removed)
        groups.setdefault((added, removed), []).append(image_id)
    return {
        "token": identity.undo_token,
        "by": identity.change_id,
        "at": datetime.now(UTC),
        "undone": False,
        "names": list(name_indexes),
        "groups": [
            {"added": list(added), "removed": [list(pair) for pair in removed], "ids": ids}
            for (added, removed), ids in groups.items()
        ],
    }


def recorded_edits(doc: Doc) -> dict[ObjectId, RecordedEdit]:
    """The edit of each image in an undo record."""
    names = doc["names"]
    return {
        image_id: RecordedEdit(
            [names[name_index] for name_index in group["added"]],
            [(index, names[name_index]) for index, name_index in group["removed"]],
        )
        for group in doc["groups"]
        for image_id in group["ids"]
    }


def unexpired_query(undo_token: str) -> dict[str, Any]:
    """The filter for the records of a change that are not expired."""
    return {"token": undo_token, "at": {"$gt": datetime.now(UTC) - UNDO_LIFETIME}}

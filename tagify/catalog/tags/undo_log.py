"""Records of changes of tags, by which they can be taken back for an hour.

One record for each transaction of a change, written in it. MongoDB removes what is too old (a TTL
index) within a minute or so; whoever reads looks at the time too.
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
    """Who a change is: `by` in the logs of its images, `token` to whoever may take it back."""

    by: ObjectId = field(default_factory=ObjectId)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(18))


@dataclass(frozen=True, slots=True)
class RecordedEdit:
    """What a change did to an image."""

    added: Sequence[str]
    removed: Sequence[IndexedTag]


def build_record(signature: ChangeIdentity, retagged: Mapping[ObjectId, EditResult]) -> dict[str, Any]:
    """The record of one transaction. Images to which the same was done are kept together."""
    names: dict[str, int] = {}

    def number(tag: str) -> int:
        return names.setdefault(tag, len(names))

    groups: dict[tuple[tuple[int, ...], tuple[tuple[int, int], ...]], list[ObjectId]] = {}
    for image, change in retagged.items():
        added = tuple(number(tag) for tag in change.added)
        removed = tuple((place, number(tag)) for place, tag in change.removed)
        groups.setdefault((added, removed), []).append(image)
    return {
        "token": signature.token,
        "by": signature.by,
        "at": datetime.now(UTC),
        "undone": False,
        "names": list(names),
        "groups": [
            {"added": list(added), "removed": [list(placed) for placed in removed], "ids": ids}
            for (added, removed), ids in groups.items()
        ],
    }


def recorded_edits(doc: Doc) -> dict[ObjectId, RecordedEdit]:
    """What a record says was done to each image."""
    names = doc["names"]
    return {
        image: RecordedEdit(
            [names[number] for number in group["added"]],
            [(place, names[number]) for place, number in group["removed"]],
        )
        for group in doc["groups"]
        for image in group["ids"]
    }


def unexpired_query(token: str) -> dict[str, Any]:
    """The query for the records of a change that is not too old."""
    return {"token": token, "at": {"$gt": datetime.now(UTC) - UNDO_LIFETIME}}

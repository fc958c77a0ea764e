"""What a change of tags does to one image, and what taking it back does. Nothing here asks a server.

An image carries a log of the changes of its tags of the last hour: for each, the tag's key and the
id of the change. A change may be taken back from a tag of an image while it is the last in the log
that speaks of this tag.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from tagify.model import ImageId
from tagify.tagnames import tag_key

UNDO_LIFETIME = timedelta(hours=1)
"""How long a change can be taken back."""

MAX_LOG_LENGTH = 300
"""Changes in an image's log, at most; older ones cannot be taken back."""

Doc = Mapping[str, Any]
IndexedTag = tuple[int, str]
"""A tag and its place among an image's tags."""


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """The tags of an image after a change, and what the change did to them."""

    id: ImageId
    tags: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditResult:
    """What a change does to the tags of an image; `removed` tells where they were."""

    tags: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[IndexedTag, ...]

    def to_tagged_image(self, image_id: ObjectId) -> TaggedImage:
        """The same for whoever asked."""
        return TaggedImage(
            ImageId(str(image_id)), self.tags, self.added, tuple(tag for _, tag in self.removed)
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


class TagEdit:
    """Tags to put on and tags to take off. One in both lists is put on; case makes no other tag."""

    def __init__(self, add: Iterable[str], remove: Iterable[str]) -> None:
        self._adding: dict[str, str] = {}
        for tag in add:
            self._adding.setdefault(tag_key(tag), tag)
        self._dropping = {tag_key(tag) for tag in remove} - self._adding.keys()

    def apply_to(self, tags: Sequence[str]) -> EditResult:
        """What it does to an image that has these tags."""
        keys = [tag_key(tag) for tag in tags]
        added = tuple(tag for key, tag in self._adding.items() if key not in keys)
        removed = tuple((place, tags[place]) for place, key in enumerate(keys) if key in self._dropping)
        kept = [tag for tag, key in zip(tags, keys, strict=True) if key not in self._dropping]
        return EditResult((*kept, *added), added, removed)


def undo_edit(doc: Doc, by: ObjectId, added: Iterable[str], removed: Iterable[IndexedTag]) -> EditResult:
    """Undo what the change `by` did to an image, tag by tag, where no other change came after it."""
    last = {entry["key"]: entry["by"] for entry in doc.get("tag_log", ())}
    off = {tag_key(tag) for tag in added if last.get(tag_key(tag)) == by}
    back = [(place, tag) for place, tag in removed if last.get(tag_key(tag)) == by]
    tags: Sequence[str] = doc["tags"]
    gone = tuple((place, tag) for place, tag in enumerate(tags) if tag_key(tag) in off)
    kept = [tag for tag in tags if tag_key(tag) not in off]
    worn = {tag_key(tag) for tag in kept}
    missed = [(place, tag) for place, tag in sorted(back) if tag_key(tag) not in worn]
    for place, tag in missed:
        kept.insert(place, tag)
    return EditResult(tuple(kept), tuple(tag for _, tag in missed), gone)


def log_with_edit(doc: Doc, by: ObjectId, change: EditResult) -> list[dict[str, Any]]:
    """The image's log once this change has been made."""
    return log_with_keys(doc, by, map(tag_key, (*change.added, *(tag for _, tag in change.removed))))


def log_with_keys(doc: Doc, by: ObjectId, keys: Iterable[str]) -> list[dict[str, Any]]:
    """The image's log once a change has been made to the tags of these keys."""
    log = doc.get("tag_log", ())
    if log:
        oldest = datetime.now(UTC) - UNDO_LIFETIME
        log = [entry for entry in log if entry["by"].generation_time > oldest]
    return [*log, *({"key": key, "by": by} for key in keys)][-MAX_LOG_LENGTH:]


def log_without(doc: Doc, by: ObjectId) -> list[dict[str, Any]]:
    """The image's log without this change."""
    return [entry for entry in doc.get("tag_log", ()) if entry["by"] != by]

"""Tag edits: the effect of a change, and of its undo, on the tags of one image. No database access.

Each image has a log of the changes of its tags in the last hour: the tag's key and the change's id. A
change of a tag can be undone only if no later change touched the same tag on the same image.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bson import ObjectId

from tagify.errors import TooManyTags
from tagify.model import ImageId
from tagify.tagnames import MAX_TAGS_PER_IMAGE, tag_key

UNDO_LIFETIME = timedelta(hours=1)
"""Time during which a change can be undone."""

MAX_LOG_LENGTH = 300
"""Maximum number of log entries per image; older changes cannot be undone."""

Doc = Mapping[str, Any]
IndexedTag = tuple[int, str]
"""A tag and its index in an image's list of tags."""


@dataclass(frozen=True, slots=True)
class TaggedImage:
    """The tags of an image after a change, and those the change added and removed."""

    id: ImageId
    tags: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EditResult:
    """The effect of a change on one image; `removed` has the tags with their former indexes.

    False if the change has no effect.
    """

    tags: tuple[str, ...]
    added: tuple[str, ...]
    removed: tuple[IndexedTag, ...]

    def to_tagged_image(self, image_id: ObjectId) -> TaggedImage:
        """The result for the API, without indexes."""
        return TaggedImage(
            ImageId(str(image_id)), self.tags, self.added, tuple(tag for _, tag in self.removed)
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)


class TagEdit:
    """Tags to add and to remove. A tag in both lists is added; tags that differ only in case are equal."""

    def __init__(self, add: Iterable[str], remove: Iterable[str]) -> None:
        self._add: dict[str, str] = {}
        for tag in add:
            self._add.setdefault(tag_key(tag), tag)
        self._remove = {tag_key(tag) for tag in remove} - self._add.keys()

    def apply_to(self, tags: Sequence[str]) -> EditResult:
        """The effect on an image with these tags."""
        keys = [tag_key(tag) for tag in tags]
        added = tuple(tag for key, tag in self._add.items() if key not in keys)
        removed = tuple((index, tags[index]) for index, key in enumerate(keys) if key in self._remove)
        remaining = [tag for tag, key in zip(tags, keys, strict=True) if key not in self._remove]
        return EditResult((*remaining, *added), added, removed)


def check_tag_count(before: Sequence[str], after: Sequence[str]) -> None:
    """Raises TooManyTags if the change adds to an image beyond MAX_TAGS_PER_IMAGE.

    An image of an older catalog may have more; its tags can be removed and exchanged.
    """
    if len(after) > max(MAX_TAGS_PER_IMAGE, len(before)):
        raise TooManyTags(
            f"an image has at most {MAX_TAGS_PER_IMAGE} tags, and the change would give one {len(after)}; "
            "remove tags from it first",
            limit=MAX_TAGS_PER_IMAGE,
        )


def undo_edit(
    doc: Doc, change_id: ObjectId, added: Iterable[str], removed: Iterable[IndexedTag]
) -> EditResult:
    """Undo a change on one image, for each tag that no later change touched.

    `added` and `removed` are what the change did to this image.
    """
    last_change = {entry["key"]: entry["by"] for entry in doc.get("tag_log", ())}
    keys_to_remove = {tag_key(tag) for tag in added if last_change.get(tag_key(tag)) == change_id}
    to_restore = [(index, tag) for index, tag in removed if last_change.get(tag_key(tag)) == change_id]
    tags: Sequence[str] = doc["tags"]
    undone = tuple((index, tag) for index, tag in enumerate(tags) if tag_key(tag) in keys_to_remove)
    result = [tag for tag in tags if tag_key(tag) not in keys_to_remove]
    present = {tag_key(tag) for tag in result}
    restored = [(index, tag) for index, tag in sorted(to_restore) if tag_key(tag) not in present]
    for index, tag in restored:
        result.insert(index, tag)
    return EditResult(tuple(result), tuple(tag for _, tag in restored), undone)


def log_with_edit(doc: Doc, change_id: ObjectId, edit: EditResult) -> list[dict[str, Any]]:
    """The image's log after this edit."""
    return log_with_keys(doc, change_id, map(tag_key, (*edit.added, *(tag for _, tag in edit.removed))))


def log_with_keys(doc: Doc, change_id: ObjectId, keys: Iterable[str]) -> list[dict[str, Any]]:
    """The image's log after a change of the tags with these keys; drops expired entries."""
    log = doc.get("tag_log", ())
    if log:
        oldest = datetime.now(UTC) - UNDO_LIFETIME
        log = [entry for entry in log if entry["by"].generation_time > oldest]
    return [*log, *({"key": key, "by": change_id} for key in keys)][-MAX_LOG_LENGTH:]


def log_without(doc: Doc, change_id: ObjectId) -> list[dict[str, Any]]:
    """The image's log without this change."""
    return [entry for entry in doc.get("tag_log", ()) if entry["by"] != change_id]

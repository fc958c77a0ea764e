"""Filter and sort order of an image list."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from tagify.model import ImageState, LibraryId


class Sort(StrEnum):
    """By time of adding, newest first; by time of taking, newest first; or by path."""

    NEWEST = "newest"
    TAKEN_AT = "taken_at"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Conditions on images; None or empty means no condition.

    Tags match in any case. `logic` combines `tags`; images with a tag in `exclude` do not match.
    `folder` is a path in the library and includes all folders below. `taken_to` is exclusive.
    """

    library_id: LibraryId | None = None
    tags: tuple[str, ...] = ()
    logic: Literal["and", "or"] = "and"
    exclude: tuple[str, ...] = ()
    no_tags: bool = False
    folder: str = ""
    taken_from: datetime | None = None
    taken_to: datetime | None = None
    state: ImageState = ImageState.READY

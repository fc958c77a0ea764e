"""Which images a list is of, and in what order."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from tagify.model import ImageState, LibraryId


class Sort(StrEnum):
    """Newest added first; taken last first; or by path."""

    NEWEST = "newest"
    TAKEN_AT = "taken_at"
    PATH = "path"


@dataclass(frozen=True, slots=True)
class ImageFilter:
    """Which images are meant; all that is None or empty does not matter.

    Tags are in any case, and `exclude` are those that an image must not have. `folder` is a path in
    the library, and means all below it. `taken_to` is behind the last moment that is meant.
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

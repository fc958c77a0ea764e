"""What is to be done with one file, and what becomes of it."""

import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum

from ingest.paths import to_os
from tagify.model import CatalogEntry, Content, FileFacts, LibraryId


@dataclass(frozen=True, slots=True)
class ContentMatches:
    """What the catalog holds of a content.

    `stored`: a ready image has it, so its blobs are there. `known`: some image has it, and they may
    be there. `left` is an image of it whose own file has left its place.
    """

    stored: bool
    known: bool
    left: CatalogEntry | None


class JobResult(Enum):
    """What became of a job: its write is durable, or there was nothing to write; the file is not what
    was looked at any more; the catalog refused the write."""

    DONE = "done"
    CHANGED = "changed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Job:
    """One file to take in, as it was when it was looked at.

    `twins` tells of images with the same content. `finished` is called once.
    """

    library_id: LibraryId
    root: str
    file: FileFacts
    live: bool
    twins: Callable[[Content], Awaitable[ContentMatches]]
    finished: Callable[[JobResult], None]

    @property
    def place(self) -> str:
        """The file's full path, as `os` takes it."""
        return os.path.join(self.root, to_os(self.file.path))  # noqa: PTH118 - names may be no Unicode

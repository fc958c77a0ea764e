"""Plain values that go into the pipeline and come back: an import job and its result."""

import os
from dataclasses import dataclass
from enum import Enum

from ingest.paths import to_os
from tagify.model import FileFacts, LibraryId


class JobResult(Enum):
    """Result of an import job.

    `done`: its write is durable, or there was nothing to write. `changed`: the file is not the one that
    was found, or it waited for the moves of other files. `rejected`: the catalog rejected the write.
    """

    DONE = "done"
    CHANGED = "changed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One file to import, with its facts when it was found. `live`: found by an event, not by a scan.

    `is_known`: the image at its path differs in ctime alone, so its bytes may be the same.
    """

    library_id: LibraryId
    root: str
    file: FileFacts
    live: bool
    is_known: bool = False

    @property
    def absolute_path(self) -> str:
        """The file's absolute path, as `os` takes it."""
        return os.path.join(self.root, to_os(self.file.path))  # noqa: PTH118 - names may be no Unicode

"""The words of the design as types: what the services say to each other about images."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

ImageId = NewType("ImageId", str)
"""24 hex digits; sorts by time of adding."""

LibraryId = NewType("LibraryId", str)
"""24 hex digits."""

JobId = NewType("JobId", str)
"""24 hex digits."""

Content = NewType("Content", str)
"""The SHA-256 of a file's bytes, 64 lower-case hex digits."""

THUMB_RECIPE = "t1"
"""How thumbs are made today. Another way of making them is another recipe, beside this one."""

THUMB_SIZE = 512
"""Longest side of a thumb, in pixels."""

VARIANT_MIMES = {"webp": "image/webp", "jpg": "image/jpeg", "avif": "image/avif"}
"""The endings of variants and their media types."""

_ID = re.compile(r"[0-9a-f]{24}")
_CONTENT = re.compile(r"[0-9a-f]{64}")


def is_id(text: str) -> bool:
    """Whether the text can be an ImageId or a LibraryId."""
    return _ID.fullmatch(text) is not None


def is_content(text: str) -> bool:
    """Whether the text can be a Content."""
    return _CONTENT.fullmatch(text) is not None


class ImageState(StrEnum):
    """`ready` is listed; `failed` could not be decoded; `missing` has left its folder and keeps its tags."""

    READY = "ready"
    FAILED = "failed"
    MISSING = "missing"


class LibraryState(StrEnum):
    """`suspended`: the root is not what it was, and nothing is removed until it is back.

    `removing`: its owner has taken it out; its documents go, the files stay.
    """

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVING = "removing"


class Bucket(StrEnum):
    """What a blob is."""

    ORIGINALS = "originals"
    THUMBS = "thumbs"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """A file as `stat` and its place in the library tell it.

    `path` is relative to the library, with `/`, in the catalog's spelling (valid Unicode).
    """

    path: str
    size: int
    mtime_ns: int
    inode: int

    def same_file_as(self, other: "FileFacts") -> bool:
        """Whether nothing tells the two apart but the path: the usual sign of a rename."""
        return (self.inode, self.size, self.mtime_ns) == (other.inode, other.size, other.mtime_ns)


@dataclass(frozen=True, slots=True)
class GeoPosition:
    """Where a picture was taken, in degrees (WGS 84), north and east positive."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Picture:
    """What decoding tells about an original. `width` and `height` are as displayed.

    `frames` is 1 for a still and the number of pictures of an animation.
    """

    mime: str
    width: int
    height: int
    placeholder: bytes
    taken_at: datetime | None = None
    keywords: tuple[str, ...] = ()
    camera: str = ""
    lens: str = ""
    position: GeoPosition | None = None
    frames: int = 1


@dataclass(frozen=True, slots=True)
class OriginalInfo:
    """What is known of a content: its length in bytes, its media type, and its width in pixels.

    The width is as displayed; 0 where it is not known.
    """

    length: int
    mime: str
    width: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """One file in a library, one document. What decoding tells is empty where it failed."""

    id: ImageId
    library_id: LibraryId
    file: FileFacts
    state: ImageState
    added_at: datetime
    updated_at: datetime
    content: Content | None = None
    mime: str = ""
    width: int = 0
    height: int = 0
    taken_at: datetime | None = None
    tags: tuple[str, ...] = ()
    placeholder: bytes = b""
    error: str = ""
    camera: str = ""
    lens: str = ""
    position: GeoPosition | None = None
    frames: int = 1


class ImageTile(NamedTuple):
    """An image as a list shows it. `content` is None where there is nothing to show, `error` says why.

    A tuple, since lists make them by the hundred thousand a second: a frozen class takes twice the time.
    """

    id: ImageId
    path: str
    width: int
    height: int
    placeholder: bytes
    content: Content | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What the catalog holds of a file, in short: enough to compare it with the folder."""

    id: ImageId
    library_id: LibraryId
    file: FileFacts
    state: ImageState


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """What a library's root is known by: its marker where it has one, else its place on a file system."""

    file_system: int
    inode: int
    marked: bool


@dataclass(frozen=True, slots=True)
class RemovalProgress:
    """How far the removal of a library is: images, then contents whose objects are left.

    `attended` says whether a daemon is at it, or near enough to be.
    """

    total: int
    done: int
    objects_left: int
    daemon_active: bool = True


@dataclass(frozen=True, slots=True)
class Library:
    """A watched root folder and how far its last scan came. `path` is absolute.

    `removal_waiting` images have lost their files, more than is usual, and wait since
    `removal_since` for an approval; `approvals` counts those given, `approvals_used` those used.
    """

    id: LibraryId
    name: str
    path: str
    state: LibraryState = LibraryState.ACTIVE
    scanning: bool = False
    scan_total: int = 0
    scan_done: int = 0
    indexed_count: int = 0
    last_scanned: datetime | None = None
    scan_error: str = ""
    rescan_requested: int = 0
    identity: RootIdentity | None = None
    pending_deletions: int = 0
    pending_since: datetime | None = None
    approvals: int = 0
    approvals_used: int = 0
    removal: RemovalProgress | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """Who may write a library. `owner` is empty where nobody may; a later lease has a higher `token`."""

    owner: str
    token: int


@dataclass(frozen=True, slots=True)
class TagUsage:
    """A tag and the number of images that carry it."""

    name: str
    count: int


class JobState(StrEnum):
    """Jobs are worked on one at a time, in the order in which they were asked for."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RenameJob:
    """A job: the tag `source` becomes `target`, in a library or in all. `done` images of about `total`."""

    id: JobId
    source: str
    target: str
    library_id: LibraryId | None
    state: JobState
    total: int
    done: int
    created_at: datetime
    finished_at: datetime | None = None
    error: str = ""

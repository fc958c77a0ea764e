"""Domain types shared by all services: images, files, libraries, leases, tags and jobs."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType

ImageId = NewType("ImageId", str)
"""24 hex digits; sorts by creation time."""

LibraryId = NewType("LibraryId", str)
"""24 hex digits."""

JobId = NewType("JobId", str)
"""24 hex digits."""

Content = NewType("Content", str)
"""SHA-256 of a file's bytes: 64 lower-case hex digits."""

THUMB_RECIPE = "t1"
"""Version of the thumbnail rendering, part of its object key. A changed rendering gets a new recipe."""

THUMB_SIZE = 512
"""Longest side of a thumbnail, in pixels."""

VARIANT_MIMES = {"webp": "image/webp", "jpg": "image/jpeg", "avif": "image/avif"}
"""File extensions of variants and their media types."""

_ID = re.compile(r"[0-9a-f]{24}")
_CONTENT = re.compile(r"[0-9a-f]{64}")


def is_id(text: str) -> bool:
    """Whether the text has the form of an ImageId, LibraryId or JobId."""
    return _ID.fullmatch(text) is not None


def is_content(text: str) -> bool:
    """Whether the text has the form of a Content."""
    return _CONTENT.fullmatch(text) is not None


class ImageState(StrEnum):
    """`ready`: listed. `failed`: could not be decoded. `missing`: its file is gone; its tags are kept."""

    READY = "ready"
    FAILED = "failed"
    MISSING = "missing"


class LibraryState(StrEnum):
    """`suspended`: the root is absent or another folder; nothing is deleted until it is back.

    `removing`: the library is being removed from the catalog; its files stay on disk.
    """

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVING = "removing"


class Bucket(StrEnum):
    """Kinds of stored objects; each kind has its S3 bucket."""

    ORIGINALS = "originals"
    THUMBS = "thumbs"


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Path and `stat` fields of a file.

    `path` is relative to the library's root, separated by `/`, and valid Unicode. `size` in bytes. `ctime_ns`
    is the time of the last change of content or status, which no program can set; 0 if unknown.
    """

    path: str
    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int = 0

    def same_file_as(self, other: "FileFacts") -> bool:
        """Whether inode, size and mtime are equal: the file may have been renamed, or edited in place."""
        return (self.inode, self.size, self.mtime_ns) == (other.inode, other.size, other.mtime_ns)

    def same_version_as(self, other: "FileFacts") -> bool:
        """Whether it is the same file and nothing was written to it; an unknown ctime proves no change."""
        is_known = bool(self.ctime_ns and other.ctime_ns)
        return self.same_file_as(other) and (self.ctime_ns == other.ctime_ns or not is_known)


@dataclass(frozen=True, slots=True)
class GeoPosition:
    """Where a picture was taken, in degrees (WGS 84); north and east are positive."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Properties found by decoding an original.

    `width` and `height` are in pixels, after EXIF rotation. `frames` is 1 for a still picture, the
    number of frames for an animation. `damaged`: some pixels could not be read, the others are shown.
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
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class DecodedOriginal:
    """An original's properties and its thumb by recipe `t1`: a JPEG, or a WebP if it has transparency."""

    picture: Picture
    thumb: bytes
    thumb_mime: str


@dataclass(frozen=True, slots=True)
class OriginalInfo:
    """Length in bytes, media type, and width in pixels of a content.

    The width is after EXIF rotation; 0 if unknown.
    """

    length: int
    mime: str
    width: int = 0


@dataclass(frozen=True, slots=True)
class Image:
    """One file of a library. The fields found by decoding are empty if decoding failed."""

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
    damaged: bool = False


class ImageTile(NamedTuple):
    """The fields of an image that a list shows.

    `error` is the reason why decoding failed: then only the original of `content` exists. `content` is None
    if no original is stored, and for a missing image. A named tuple, because lists create a hundred thousand
    of them per second and a frozen dataclass takes twice the time.
    """

    id: ImageId
    path: str
    width: int
    height: int
    placeholder: bytes
    content: Content | None
    error: str = ""
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """The fields of an image document needed to compare it with a file on disk."""

    id: ImageId
    library_id: LibraryId
    file: FileFacts
    state: ImageState


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """Identifies a library's root folder: by its marker file if `marked`, else by file system and inode."""

    file_system: int
    inode: int
    marked: bool


@dataclass(frozen=True, slots=True)
class RootProbe:
    """The state of a root as seen at one time. `is_empty`: there is nothing in it but the marker."""

    identity: RootIdentity
    is_empty: bool

    def same_folder_as(self, other: "RootProbe") -> bool:
        """Whether both are one folder, with or without files in both. A marker may have been added."""
        return (self.identity.file_system, self.identity.inode, self.is_empty) == (
            other.identity.file_system,
            other.identity.inode,
            other.is_empty,
        )


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """What an approval would allow: to delete up to `images` images while `root` is the root folder."""

    root: RootProbe
    images: int

    @property
    def id(self) -> str:
        """Identifies this state of the library: another root or number has another id."""
        identity = self.root.identity
        facts = (identity.file_system, identity.inode, identity.marked, self.root.is_empty, self.images)
        return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Approval:
    """A given approval, with an id of its own. It holds for what was pending when it was given."""

    id: str
    granted: PendingApproval


@dataclass(frozen=True, slots=True)
class RemovalProgress:
    """Progress of a library's removal: images first (`done` of `total`), then stored objects.

    `objects_left` counts contents whose objects are still to be deleted. `daemon_active`: an ingest
    daemon holds the library's lease.
    """

    total: int
    done: int
    objects_left: int
    daemon_active: bool = True


@dataclass(frozen=True, slots=True)
class Library:
    """A watched root folder and the progress of its last scan. `path` is absolute.

    `failed_count` files could not be decoded, `damaged_count` images only in part. `skipped`: suffixes of
    files that the last scan skipped, with their numbers, most frequent first.

    `pending_deletions` images have lost their files, and since `pending_since` their deletion waits
    for approval (mass-deletion guard). `pending_approval` is what can be approved now, deletions or
    another root folder; `approval` was given and has not been used.
    """

    id: LibraryId
    name: str
    path: str
    state: LibraryState = LibraryState.ACTIVE
    scanning: bool = False
    scan_total: int = 0
    scan_done: int = 0
    indexed_count: int = 0
    failed_count: int = 0
    damaged_count: int = 0
    skipped: tuple[tuple[str, int], ...] = ()
    last_scanned: datetime | None = None
    scan_error: str = ""
    rescan_requested: int = 0
    identity: RootIdentity | None = None
    pending_deletions: int = 0
    pending_since: datetime | None = None
    pending_approval: PendingApproval | None = None
    approval: Approval | None = None
    removal: RemovalProgress | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """An exclusive right that expires: to write a library, to run a job, to delete queued objects.

    `owner` is empty if the lease is free, and for jobs, which record no owner. `token` is the fencing
    token: each acquisition of a library or job has a higher one than the last; 0 in the deletion
    queue, where the owner is unique. `expires_at` is by MongoDB's clock; None if never acquired.
    """

    owner: str
    token: int
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class TagUsage:
    """A tag and the number of images that have it."""

    name: str
    count: int


class JobState(StrEnum):
    """States of a job. One job runs at a time, oldest first."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RenameJob:
    """A job that renames or merges the tag `source` into `target`, in one library or in all (None).

    `done` images of about `total` are finished.
    """

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

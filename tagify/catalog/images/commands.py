"""Commands that ingest sends to the catalog, one per changed file."""

from dataclasses import dataclass

from tagify.model import CatalogEntry, Content, FileFacts, ImageId, LibraryId, Picture


@dataclass(frozen=True, slots=True)
class UpsertImage:
    """Write a file that was read: updates the image at its path, or inserts a new one.

    A missing image of the same content is restored with its tags. If the file could not be decoded,
    `picture` is None, `error` is the reason, and `content` is None unless the original is stored.
    `moved_from` is an image of this content whose file has left its path: it moves here, unless it has
    changed since. A new image gets the tags of `tags_from`, images of this content in libraries that are
    suspended or being removed: their files may have moved here.
    """

    library_id: LibraryId
    file: FileFacts
    content: Content | None = None
    picture: Picture | None = None
    error: str = ""
    moved_from: CatalogEntry | None = None
    tags_from: tuple[ImageId, ...] = ()


@dataclass(frozen=True, slots=True)
class MoveImage:
    """The file of `entry` is now at this path, with unchanged content.

    At the path of `entry`, its facts are updated.

    Ignored if the image has moved since it was read as `entry`; a missing image is restored.
    """

    entry: CatalogEntry
    library_id: LibraryId
    file: FileFacts


@dataclass(frozen=True, slots=True)
class MarkMissing:
    """The image's file is gone from this path. Ignored if the image has moved since."""

    id: ImageId
    library_id: LibraryId
    path: str


ImageCommand = UpsertImage | MoveImage | MarkMissing

"""What ingest asks the catalog to write: one of these for each file that changed."""

from dataclasses import dataclass

from tagify.model import CatalogEntry, Content, FileFacts, ImageId, LibraryId, Picture


@dataclass(frozen=True, slots=True)
class UpsertImage:
    """The file at this path was read. It becomes the image at the path, or a new one.

    A missing image of the same content is taken up again with its tags. `picture` is None and
    `error` says why where the file could not be decoded; `content` is None then too. `came_from` is
    an image of this content whose file has left its place: it moves here, if it is still there.
    """

    library_id: LibraryId
    file: FileFacts
    content: Content | None = None
    picture: Picture | None = None
    error: str = ""
    moved_from: CatalogEntry | None = None


@dataclass(frozen=True, slots=True)
class MoveImage:
    """The file of the image that was seen as `entry` is now here, with the bytes it had.

    An image that has been moved since is left alone; a missing one is taken up again.
    """

    entry: CatalogEntry
    library_id: LibraryId
    file: FileFacts


@dataclass(frozen=True, slots=True)
class MarkMissing:
    """The image's file is not at this place any more. An image that has been moved since is left alone."""

    id: ImageId
    library_id: LibraryId
    path: str


ImageCommand = UpsertImage | MoveImage | MarkMissing

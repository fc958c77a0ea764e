"""Images, libraries and tags as JSON, and the media URLs of an image."""

import base64
from collections.abc import Sequence
from datetime import datetime

from api.presigned_urls import StoreUrls
from tagify.model import (
    Bucket,
    Content,
    GeoPosition,
    Image,
    ImageState,
    ImageTile,
    Library,
    RemovalProgress,
    RenameJob,
    TagUsage,
)

Json = dict[str, object]


class Items:
    """Writes images for clients, with media URLs on the given base (`""`: the same origin).

    Where there is a signer, thumbs and originals are at pre-signed URLs of the store instead.
    """

    def __init__(self, media_base_url: str, widths: Sequence[int], signed: StoreUrls | None = None) -> None:
        self._base = media_base_url
        self._signed = signed
        self._widths = tuple(sorted(set(widths)))
        self.media: Json = {
            "thumb": f"{media_base_url}/api/images/{{_id}}/thumb?v={{content}}",
            "original": f"{media_base_url}/media/{{content}}/original",
            "variant": f"{media_base_url}/media/{{content}}/{{w}}.webp",
            "widths": self._widths,
        }
        """The media URLs of a list's images, told once: a name in braces is that member of the item, and
        `{w}` one of the widths. A variant is never wider than its image."""

    def tile(self, tile: ImageTile) -> Json:
        """What a grid needs of an image, and no more. Its media are at the URLs of `media`."""
        item: Json = {
            "_id": tile.id,
            "path": tile.path,
            "width": tile.width,
            "height": tile.height,
            "placeholder": base64.b64encode(tile.placeholder).decode(),
        }
        if tile.content:
            item["content"] = tile.content
            if self._signed:
                item |= self._signed_media(self._signed, tile.content)
        if tile.error:
            item["error"] = tile.error
        return item

    def item(self, image: Image) -> Json:
        """What is told of an image when it changes: all that a filter asks for, and its media URLs."""
        item: Json = {
            "_id": image.id,
            "library_id": image.library_id,
            "path": image.file.path,
            "width": image.width,
            "height": image.height,
            "tags": image.tags,
            "placeholder": base64.b64encode(image.placeholder).decode(),
            "state": image.state,
        }
        if image.error:
            item["error"] = image.error
        if image.content and image.state is ImageState.READY:
            item |= self._media(image, image.content)
        return item

    def document(self, image: Image) -> Json:
        """All that is known of an image."""
        return self.item(image) | {
            "size": image.file.size,
            "mime": image.mime,
            "error": image.error,
            "taken_at": _time(image.taken_at),
            "camera": image.camera,
            "lens": image.lens,
            "position": _position(image.position),
            "frames": image.frames,
            "added_at": _time(image.added_at),
            "updated_at": _time(image.updated_at),
        }

    def plain(self, image: Image) -> Json:
        """The deprecated list's form of an image."""
        return {"_id": image.id, "path": image.file.path, "width": image.width, "height": image.height}

    def library(self, library: Library) -> Json:
        """A library."""
        return {"_id": library.id, "name": library.name, "path": library.path} | self.progress(library)

    def progress(self, library: Library) -> Json:
        """How far a library's scan is."""
        return {
            "state": library.state,
            "scanning": library.scanning,
            "scan_total": library.scan_total,
            "scan_done": library.scan_done,
            "indexed_count": library.indexed_count,
            "last_scanned": _time(library.last_scanned),
            "scan_error": library.scan_error,
            "removal_waiting": library.pending_deletions,
            "removal_since": _time(library.pending_since),
            "removal": _removal(library.removal),
        }

    def job(self, job: RenameJob) -> Json:
        """A job and how far it is."""
        return {
            "_id": job.id,
            "kind": "rename",
            "from": job.source,
            "to": job.target,
            "library_id": job.library_id,
            "state": job.state,
            "total": job.total,
            "done": job.done,
            "error": job.error,
            "created_at": _time(job.created_at),
            "finished_at": _time(job.finished_at),
        }

    def tag(self, tag: TagUsage) -> Json:
        """A tag and its count."""
        return {"_id": tag.name, "count": tag.count}

    def _signed_media(self, urls: StoreUrls, content: Content) -> Json:
        return {
            "thumb": urls.listed(Bucket.THUMBS, content),
            "original": urls.listed(Bucket.ORIGINALS, content),
        }

    def _media(self, image: Image, content: Content) -> Json:
        media = self._edge_media(image)
        if self._signed:
            media |= self._signed_media(self._signed, content) | {"variants": []}
        return media

    def _edge_media(self, image: Image) -> Json:
        place = f"{self._base}/media/{image.content}"
        return {
            "content": image.content,
            "thumb": f"{self._base}/api/images/{image.id}/thumb?v={image.content}",
            "original": f"{place}/original",
            "variants": [
                {"width": min(width, image.width), "url": f"{place}/{width}.webp"}
                for width in self._rungs(image.width)
            ],
        }

    def _rungs(self, natural: int) -> list[int]:
        """The ladder up to the natural width; the first rung above it shows the picture in full."""
        below = [width for width in self._widths if width < natural]
        return [*below, *self._widths[len(below) : len(below) + 1]]


def _removal(removal: RemovalProgress | None) -> Json | None:
    if removal is None:
        return None
    return {
        "total": removal.total,
        "done": removal.done,
        "objects_left": removal.objects_left,
        "message": ""
        if removal.daemon_active
        else "no ingest daemon is at work: the library goes once one is",
    }


def _position(position: GeoPosition | None) -> Json | None:
    if position is None:
        return None
    return {"latitude": position.latitude, "longitude": position.longitude}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

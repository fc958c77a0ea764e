"""JSON forms of images, libraries, tags and jobs, and the media URLs of images."""

import base64
from collections.abc import Sequence
from datetime import datetime

from api.presigned_urls import PresignedUrls
from tagify.model import (
    Bucket,
    Content,
    GeoPosition,
    Image,
    ImageId,
    ImageState,
    ImageTile,
    Library,
    PendingApproval,
    RemovalProgress,
    RenameJob,
    TagUsage,
)

Json = dict[str, object]

_NO_INGEST = "no ingest service is running; removal continues when one starts"


class Serializer:
    """Converts model objects to JSON.

    Media URLs start with `media_base_url` (`""`: the same origin). With `presigned_urls`, thumbs and
    originals have pre-signed URLs of the S3 server instead.
    """

    def __init__(
        self, media_base_url: str, widths: Sequence[int], presigned_urls: PresignedUrls | None = None
    ) -> None:
        self._base_url = media_base_url
        self._presigned_urls = presigned_urls
        self._widths = tuple(sorted(set(widths)))
        self.media: Json = {
            "thumb": f"{media_base_url}/api/images/{{_id}}/thumb?v={{content}}",
            "original": f"{media_base_url}/media/{{content}}/original",
            "variant": f"{media_base_url}/media/{{content}}/{{w}}.webp",
            "widths": self._widths,
        }
        """Templates of the media URLs, sent once for all items of a list: a name in braces stands for that
        member of the item, `{w}` for one of the widths. A variant is never wider than its image."""

    def tile(self, tile: ImageTile) -> Json:
        """A list item: the members that a grid needs. Its media URLs come from the templates in `media`."""
        item: Json = {
            "_id": tile.id,
            "path": tile.path,
            "width": tile.width,
            "height": tile.height,
            "placeholder": base64.b64encode(tile.placeholder).decode(),
        }
        if tile.content and tile.error:
            item["original"] = self._download(tile.id)
        elif tile.content:
            item["content"] = tile.content
            if self._presigned_urls:
                item |= self._presigned_media(self._presigned_urls, tile.content)
        if tile.error:
            item["error"] = tile.error
        if tile.damaged:
            item["damaged"] = True
        return item

    def image_event(self, image: Image) -> Json:
        """An image as an event's data: all members that filters use, and its media URLs."""
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
        if image.damaged:
            item["damaged"] = True
        if image.content and image.state is ImageState.READY:
            item |= self._media(image, image.content)
        elif image.content and image.state is ImageState.FAILED:
            item["original"] = self._download(image.id)
        return item

    def image_details(self, image: Image) -> Json:
        """An image with all its members."""
        return self.image_event(image) | {
            "size": image.file.size,
            "mime": image.mime,
            "error": image.error,
            "taken_at": _time(image.taken_at),
            "camera": image.camera,
            "lens": image.lens,
            "position": _position(image.position),
            "frames": image.frames,
            "damaged": image.damaged,
            "added_at": _time(image.added_at),
            "updated_at": _time(image.updated_at),
        }

    def legacy_image(self, image: Image) -> Json:
        """An item of the deprecated list form (`offset`)."""
        return {"_id": image.id, "path": image.file.path, "width": image.width, "height": image.height}

    def library(self, library: Library) -> Json:
        """A library with its scan progress."""
        identity: Json = {"_id": library.id, "name": library.name, "path": library.path}
        return identity | self.library_progress(library)

    def library_progress(self, library: Library) -> Json:
        """The progress of a library's scan and removal."""
        return {
            "state": library.state,
            "scanning": library.scanning,
            "scan_total": library.scan_total,
            "scan_done": library.scan_done,
            "indexed_count": library.indexed_count,
            "failed": library.failed_count,
            "damaged": library.damaged_count,
            "skipped": dict(library.skipped),
            "last_scanned": _time(library.last_scanned),
            "scan_error": library.scan_error,
            "removal_waiting": library.pending_deletions,
            "removal_since": _time(library.pending_since),
            "pending_approval": _pending_approval(library.pending_approval),
            "removal": _removal(library.removal),
        }

    def job(self, job: RenameJob) -> Json:
        """A job and its progress."""
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

    def tag_count(self, tag: TagUsage) -> Json:
        """A tag and its count."""
        return {"_id": tag.name, "count": tag.count}

    def _presigned_media(self, presigned_urls: PresignedUrls, content: Content) -> Json:
        return {
            "thumb": presigned_urls.list_url(Bucket.THUMBS, content),
            "original": presigned_urls.list_url(Bucket.ORIGINALS, content),
        }

    def _download(self, image_id: ImageId) -> str:
        """The URL of the original of a failed image, which is sent as an attachment."""
        return f"{self._base_url}/api/images/{image_id}/file"

    def _media(self, image: Image, content: Content) -> Json:
        media = self._edge_media(image)
        if self._presigned_urls:
            media |= self._presigned_media(self._presigned_urls, content) | {"variants": []}
        return media

    def _edge_media(self, image: Image) -> Json:
        base_url = f"{self._base_url}/media/{image.content}"
        return {
            "content": image.content,
            "thumb": f"{self._base_url}/api/images/{image.id}/thumb?v={image.content}",
            "original": f"{base_url}/original",
            "variants": [
                {"width": min(width, image.width), "url": f"{base_url}/{width}.webp"}
                for width in self._variant_widths(image.width)
            ],
        }

    def _variant_widths(self, image_width: int) -> list[int]:
        """The widths below the image's width, and the next larger one, which gives the full size."""
        narrower = [width for width in self._widths if width < image_width]
        return [*narrower, *self._widths[len(narrower) : len(narrower) + 1]]


def _pending_approval(pending: PendingApproval | None) -> Json | None:
    return {"_id": pending.id, "images": pending.images} if pending else None


def _removal(removal: RemovalProgress | None) -> Json | None:
    if removal is None:
        return None
    return {
        "total": removal.total,
        "done": removal.done,
        "objects_left": removal.objects_left,
        "message": "" if removal.daemon_active else _NO_INGEST,
    }


def _position(position: GeoPosition | None) -> Json | None:
    if position is None:
        return None
    return {"latitude": position.latitude, "longitude": position.longitude}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

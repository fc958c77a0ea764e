"""Mapping between MongoDB documents and the types of the model."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

from tagify.model import (
    Approval,
    CatalogEntry,
    Content,
    FileFacts,
    GeoPosition,
    Image,
    ImageId,
    ImageState,
    ImageTile,
    Library,
    LibraryId,
    LibraryState,
    PendingApproval,
    Picture,
    RemovalProgress,
    RootIdentity,
    RootProbe,
)

Doc = Mapping[str, Any]

PRESENT = {"state": {"$in": [ImageState.READY.value, ImageState.FAILED.value]}}
"""Filter for documents whose file is present. Partial indexes with `$in` need MongoDB 6.0."""

_WITH_MEDIA = (ImageState.READY.value, ImageState.FAILED.value)
_NO_PICTURE = Picture(mime="", width=0, height=0, placeholder=b"")

ENTRY_FIELDS = {"library_id": 1, "path": 1, "size": 1, "mtime_ns": 1, "inode": 1, "ctime_ns": 1, "state": 1}


def file_from_doc(doc: Doc) -> FileFacts:
    """The file fields of an image document."""
    return FileFacts(
        doc["path"],
        doc["size"],
        int(doc["mtime_ns"]),
        _from_signed(doc["inode"]),
        int(doc.get("ctime_ns", 0)),
    )


def entry_from_doc(doc: Doc) -> CatalogEntry:
    """A CatalogEntry from an image document with ENTRY_FIELDS."""
    return CatalogEntry(
        ImageId(str(doc["_id"])),
        LibraryId(str(doc["library_id"])),
        file_from_doc(doc),
        ImageState(doc["state"]),
    )


def image_from_doc(doc: Doc) -> Image:
    """An Image from a complete document."""
    content = doc.get("content")
    return Image(
        id=ImageId(str(doc["_id"])),
        library_id=LibraryId(str(doc["library_id"])),
        file=file_from_doc(doc),
        state=ImageState(doc["state"]),
        added_at=doc["added_at"],
        updated_at=doc["updated_at"],
        content=Content(content) if content else None,
        mime=doc.get("mime", ""),
        width=doc.get("width", 0),
        height=doc.get("height", 0),
        taken_at=doc.get("taken_at"),
        tags=tuple(doc.get("tags", ())),
        placeholder=bytes(doc.get("placeholder", b"")),
        error=doc.get("error", ""),
        camera=doc.get("camera", ""),
        lens=doc.get("lens", ""),
        position=_position_from_doc(doc.get("position")),
        frames=doc.get("frames", 1),
        damaged=doc.get("damaged", False),
    )


TILE_FIELDS = dict.fromkeys(
    ("path", "width", "height", "placeholder", "content", "error", "state", "damaged"), 1
)


def tile_from_doc(doc: Doc) -> ImageTile:
    """An ImageTile from an image document with TILE_FIELDS."""
    return ImageTile(
        ImageId(str(doc["_id"])),
        doc["path"],
        doc["width"],
        doc["height"],
        doc["placeholder"],
        doc["content"] if doc["state"] in _WITH_MEDIA else None,
        doc["error"],
        doc.get("damaged", False),
    )


def library_from_doc(doc: Doc) -> Library:
    """A Library from its document."""
    return Library(
        id=LibraryId(str(doc["_id"])),
        name=doc["name"],
        path=doc["path"],
        state=LibraryState(doc["state"]),
        scanning=doc["scanning"],
        scan_total=doc["scan_total"],
        scan_done=doc["scan_done"],
        indexed_count=doc["indexed_count"],
        failed_count=max(0, doc.get("failed_count", 0)),
        damaged_count=max(0, doc.get("damaged_count", 0)),
        skipped=tuple((item["suffix"], item["count"]) for item in doc.get("skipped", ())),
        last_scanned=doc["last_scanned"],
        scan_error=doc["scan_error"],
        rescan_requested=doc["rescan_requested"],
        identity=_identity_from_doc(doc.get("identity")),
        pending_deletions=doc.get("removal_waiting", 0),
        pending_since=doc.get("removal_since"),
        pending_approval=_pending_approval_from_doc(doc.get("approvable")),
        approval=_approval_from_doc(doc.get("approval")),
        removal=_removal_from_doc(doc),
    )


def _removal_from_doc(doc: Doc) -> RemovalProgress | None:
    if doc["state"] != LibraryState.REMOVING:
        return None
    progress = doc.get("removal") or {"total": doc["indexed_count"], "done": 0, "objects_left": 0}
    return RemovalProgress(progress["total"], progress["done"], progress["objects_left"])


def identity_fields(identity: RootIdentity) -> dict[str, Any]:
    """The subdocument of a library for the identity of its root."""
    return {
        "file_system": to_signed(identity.file_system),
        "inode": to_signed(identity.inode),
        "marked": identity.marked,
    }


def _identity_from_doc(doc: Doc | None) -> RootIdentity | None:
    if not doc:
        return None
    return RootIdentity(_from_signed(doc["file_system"]), _from_signed(doc["inode"]), doc["marked"])


def pending_approval_fields(pending: PendingApproval | None) -> dict[str, Any] | None:
    """The subdocument of a library for what can be approved."""
    if pending is None:
        return None
    root = {**identity_fields(pending.root.identity), "empty": pending.root.is_empty}
    return {"root": root, "images": pending.images}


def _pending_approval_from_doc(doc: Doc | None) -> PendingApproval | None:
    if not doc or (identity := _identity_from_doc(doc["root"])) is None:
        return None
    return PendingApproval(RootProbe(identity, doc["root"]["empty"]), doc["images"])


def _approval_from_doc(doc: Doc | None) -> Approval | None:
    granted = _pending_approval_from_doc(doc)
    return Approval(str(doc["id"]), granted) if doc and granted else None


def file_fields(file: FileFacts) -> dict[str, Any]:
    """The fields of an image document that describe its file."""
    return {
        "path": file.path,
        "size": file.size,
        "mtime_ns": file.mtime_ns if _fits(file.mtime_ns) else str(file.mtime_ns),
        "inode": to_signed(file.inode),
        "ctime_ns": file.ctime_ns if _fits(file.ctime_ns) else str(file.ctime_ns),
    }


def picture_fields(picture: Picture | None) -> dict[str, Any]:
    """The fields of an image document that describe its picture; empty values if None."""
    picture = _storable(picture or _NO_PICTURE)
    return {
        "mime": picture.mime,
        "width": picture.width,
        "height": picture.height,
        "taken_at": picture.taken_at,
        "placeholder": picture.placeholder,
        "camera": picture.camera,
        "lens": picture.lens,
        "position": _position_fields(picture.position),
        "frames": picture.frames,
        "damaged": picture.damaged,
    }


def _storable(picture: Picture) -> Picture:
    """The picture without the metadata that a document cannot hold: files contain any value."""
    position = picture.position
    if position and not (math.isfinite(position.latitude) and math.isfinite(position.longitude)):
        position = None
    return replace(
        picture,
        taken_at=_storable_time(picture.taken_at),
        camera=storable_text(picture.camera),
        lens=storable_text(picture.lens),
        position=position,
        frames=picture.frames if _fits(picture.frames) else 1,
    )


def _storable_time(time: datetime | None) -> datetime | None:
    """The time in UTC; None where its offset moves it out of the years 1 to 9999."""
    try:
        return time.astimezone(UTC) if time else None
    except OverflowError:
        return None


def storable_text(text: str) -> str:
    """The text without lone surrogates, which UTF-8 cannot encode."""
    return text.encode(errors="ignore").decode()


def _fits(number: int) -> bool:
    """Whether the number fits into a BSON integer: 64 bits, signed."""
    return -(1 << 63) <= number < 1 << 63


def _position_fields(position: GeoPosition | None) -> dict[str, Any] | None:
    """A GeoJSON point: longitude first."""
    if position is None:
        return None
    return {"type": "Point", "coordinates": [position.longitude, position.latitude]}


def _position_from_doc(doc: Doc | None) -> GeoPosition | None:
    return GeoPosition(doc["coordinates"][1], doc["coordinates"][0]) if doc else None


def object_id(text: str) -> ObjectId:
    """The ObjectId of an id in valid form (`model.is_id`)."""
    return ObjectId(text)


def to_signed(inode: int) -> int:
    """An unsigned 64-bit inode as a signed integer: BSON has no unsigned ones."""
    return inode - (1 << 64) if inode >= 1 << 63 else inode


def _from_signed(number: int) -> int:
    return number + (1 << 64) if number < 0 else number

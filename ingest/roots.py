"""Whether a library's root is what it was. Nothing is removed on the word of one that is not."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one root from another that was put in its place: a folder made anew, another mount."""

    device: int
    inode: int
    is_mount: bool


def identify(root: str) -> Identity | None:
    """The identity of a folder that can be listed, or None."""
    try:
        status = os.stat(root)  # noqa: PTH116
        with os.scandir(root):
            return Identity(status.st_dev, status.st_ino, os.path.ismount(root))
    except OSError:
        return None


def why_suspended(root: str, known: Identity | None, indexed: int) -> str | None:
    """Why nothing may be removed from this library now, in one sentence; None where all is well.

    `known` is the identity it had when it was watched last, `indexed` the images that it had. A
    root made anew or mounted again differs from it too, and is well as long as it is not empty.
    """
    current = identify(root)
    if current is None:
        return f"the folder {root} is missing or cannot be read; nothing is removed until it is back"
    if known is not None and known.is_mount and not current.is_mount:
        return f"nothing is mounted at {root} any more; nothing is removed until it is back"
    if indexed and _is_empty(root):
        return f"the folder {root} is empty though it had {indexed} images; nothing is removed"
    return None


def _is_empty(root: str) -> bool:
    try:
        with os.scandir(root) as listing:
            return next(listing, None) is None
    except OSError:
        return True

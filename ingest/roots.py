"""Whether a library's root is what it was. Nothing is removed on the word of one that is not."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """The device and inode of a root: another folder or mount at the same path differs in them."""

    device: int
    inode: int


def identify(root: str) -> Identity | None:
    """The identity of a folder that can be listed, or None."""
    try:
        status = os.stat(root)  # noqa: PTH116
        with os.scandir(root):
            return Identity(status.st_dev, status.st_ino)
    except OSError:
        return None


def why_suspended(root: str, known: Identity | None, indexed: int) -> str | None:
    """Why nothing may be removed from this library now, in one sentence; None where all is well.

    `known` is the identity it had when it was watched last, `indexed` the images that it had.
    """
    current = identify(root)
    if current is None:
        return f"the folder {root} is missing or cannot be read; nothing is removed until it is back"
    if known is not None and current != known:
        return f"another folder or mount is at {root}; nothing is removed until the first is back"
    if indexed and _is_empty(root):
        return f"the folder {root} is empty though it had {indexed} images; nothing is removed"
    return None


def _is_empty(root: str) -> bool:
    try:
        with os.scandir(root) as listing:
            return next(listing, None) is None
    except OSError:
        return True

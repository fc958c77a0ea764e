"""Names of files as the system has them, as the catalog spells them, and which are passed over.

A file name is bytes; Python shows bytes that are no UTF-8 as lone surrogates, which neither
MongoDB nor JSON can hold. The catalog spells such a byte as a private-use character
(U+EF80 to U+EFFF for 0x80 to 0xFF, the range that MirOS set aside for it), and so it spells
the bytes of a real character of that range: the spelling is reversible for every name.
"""

import fnmatch
import os
import re
from collections.abc import Sequence

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif")
)
"""Endings, in small letters, of the files that are images by their name."""

SIDECAR_SUFFIX = ".xmp"
"""Ending, in small letters, of a file that tells of an image beside it: `a.xmp` or `a.jpg.xmp`."""

_RAW = 0xEF00
_ESCAPED = re.compile("[\uef80-\uefff]")
_TO_ESCAPE = re.compile("[\udc80-\udcff]|[\uef80-\uefff]")


def to_catalog(path: str) -> str:
    """The catalog's spelling of a path as `os` gives it."""
    return _TO_ESCAPE.sub(
        lambda match: "".join(chr(_RAW | byte) for byte in os.fsencode(match.group())), path
    )


def to_os(path: str) -> str:
    """The path as `os` takes it; the reverse of `to_catalog`."""
    if not _ESCAPED.search(path):
        return path
    raw = b"".join(bytes((ord(char) & 0xFF,)) if _ESCAPED.match(char) else os.fsencode(char) for char in path)
    return os.fsdecode(raw)


def is_image_name(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - a name, no path


def is_sidecar_name(name: str) -> bool:
    """Whether a file of this name tells of an image beside it."""
    return name.lower().endswith(SIDECAR_SUFFIX)


def sidecar_paths(path: str) -> tuple[str, ...]:
    """Where an image's sidecar may be, in the order of preference."""
    stem = os.path.splitext(path)[0]  # noqa: PTH122
    return tuple(
        base + ending for base in (path, stem) for ending in (SIDECAR_SUFFIX, SIDECAR_SUFFIX.upper())
    )


def sidecar_images(sidecar: str) -> tuple[str, ...]:
    """The images that a sidecar may tell of."""
    stem = sidecar[: -len(SIDECAR_SUFFIX)]
    endings = sorted(IMAGE_SUFFIXES)
    return (stem, *(stem + ending for ending in endings), *(stem + ending.upper() for ending in endings))


class Exclusions:
    """Names of files and folders that are passed over, as globs."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._match = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)")

    def matches_name(self, name: str) -> bool:
        """Whether a file or folder of this name is passed over."""
        return self._match.match(name) is not None

    def matches_path(self, path: str) -> bool:
        """Whether any part of this relative path is passed over."""
        return any(self.matches_name(part) for part in path.split("/"))

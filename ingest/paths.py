"""Encoding of file names for the catalog; names of images and sidecars; excluded names.

A file name is bytes. Python decodes bytes that are not UTF-8 as lone surrogates, which neither MongoDB nor
JSON can hold. The catalog encodes such a byte as a private-use character (U+EF80 to U+EFFF for 0x80 to
0xFF, the range that MirOS uses for this), and also the bytes of a real character of that range, so that the
encoding is reversible for every name.
"""

import fnmatch
import os
import re
from collections.abc import Sequence

_SUFFIXES_BY_FORMAT = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".jfi", ".pjpeg", ".pjp", ".mpo", ".jps"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "WebP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif", ".avifs"),
    "HEIF": (".heic", ".heics", ".heif", ".heifs", ".hif"),
}
"""The suffixes that cameras and programs give to files of the formats that the decoders read."""

IMAGE_SUFFIXES = frozenset(suffix for suffixes in _SUFFIXES_BY_FORMAT.values() for suffix in suffixes)
"""Lower-case suffixes of image files."""

SIDECAR_SUFFIX = ".xmp"
"""Lower-case suffix of a sidecar, a file with metadata of an image beside it: `a.xmp` or `a.jpg.xmp`."""

_RAW = 0xEF00
_ESCAPED = re.compile("[\uef80-\uefff]")
_TO_ESCAPE = re.compile("[\udc80-\udcff]|[\uef80-\uefff]")


def to_catalog(path: str) -> str:
    """Encode a path, as `os` returns it, for the catalog."""
    return _TO_ESCAPE.sub(
        lambda match: "".join(chr(_RAW | byte) for byte in os.fsencode(match.group())), path
    )


def to_os(path: str) -> str:
    """Decode a path of the catalog for `os`; the inverse of `to_catalog`."""
    if not _ESCAPED.search(path):
        return path
    raw = b"".join(bytes((ord(char) & 0xFF,)) if _ESCAPED.match(char) else os.fsencode(char) for char in path)
    return os.fsdecode(raw)


def is_image_name(name: str) -> bool:
    """Whether the name has the suffix of an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - a name, no path


def is_sidecar_name(name: str) -> bool:
    """Whether the name has the suffix of a sidecar."""
    return name.lower().endswith(SIDECAR_SUFFIX)


def sidecar_paths(path: str) -> tuple[str, ...]:
    """Paths at which an image's sidecar may be, in order of preference."""
    stem = os.path.splitext(path)[0]  # noqa: PTH122
    return tuple(
        base + suffix for base in (path, stem) for suffix in (SIDECAR_SUFFIX, SIDECAR_SUFFIX.upper())
    )


def sidecar_images(sidecar: str) -> tuple[str, ...]:
    """Paths of the images that a sidecar may belong to."""
    stem = sidecar[: -len(SIDECAR_SUFFIX)]
    suffixes = sorted(IMAGE_SUFFIXES)
    return (stem, *(stem + suffix for suffix in suffixes), *(stem + suffix.upper() for suffix in suffixes))


class Exclusions:
    """Names of files and folders that are not imported, as glob patterns."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._match = re.compile("|".join(fnmatch.translate(pattern) for pattern in patterns) or r"(?!)")

    def matches_name(self, name: str) -> bool:
        """Whether a file or folder of this name is excluded."""
        return self._match.match(name) is not None

    def matches_path(self, path: str) -> bool:
        """Whether any part of this relative path is excluded."""
        return any(self.matches_name(part) for part in path.split("/"))

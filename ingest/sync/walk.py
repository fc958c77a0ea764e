"""Walks the image files of a folder on disk in order of path. Blocking: call it in a thread."""

import logging
import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ingest.paths import Exclusions, is_image_name, is_sidecar_name, to_catalog, to_os
from ingest.safe_open import facts_of, open_folder, stat_beneath
from tagify.model import FileFacts

logger = logging.getLogger(__name__)

_MAX_SUFFIXES = 1000
"""Suffixes of skipped files that are counted each; numbered suffixes could be millions."""

_MAX_SUFFIX_LENGTH = 16
_REPORTED_SUFFIXES = 20
_OTHER_SUFFIXES = "other"

STAT_BATCH = 256
"""Files whose status is read together, with one descriptor of their folder."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder or file that could not be read; whether there are files at or below its path is unknown."""

    path: str
    reason: str
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str


WalkItem = FileFacts | Unreadable


def stat_file(root: str, path: str) -> FileFacts | None:
    """The regular file at a path in the catalog's encoding; None where there is none.

    Raises OSError where that is unknown, as on a failing disk.
    """
    if not path:
        return None
    try:
        status = stat_beneath(root, to_os(path))
    except FileNotFoundError:
        return None
    return facts_of(status, path) if stat.S_ISREG(status.st_mode) else None


class SkippedFiles:
    """Counts the files that are skipped, by suffix; in bounded memory."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        """Count a file that is no image."""
        suffix = to_catalog(os.path.splitext(name)[1].lower())  # noqa: PTH122 - a name, no path
        is_usual = len(suffix) <= _MAX_SUFFIX_LENGTH and suffix.isprintable()
        is_counted = is_usual and (suffix in self._counts or len(self._counts) < _MAX_SUFFIXES)
        self._counts[suffix if is_counted else _OTHER_SUFFIXES] += 1

    def most_common(self) -> tuple[tuple[str, int], ...]:
        """The most frequent suffixes and their numbers; `other` stands for the rest."""
        counts = self._counts.copy()
        rest = counts.pop(_OTHER_SUFFIXES, 0)
        common = counts.most_common(_REPORTED_SUFFIXES)
        rest += counts.total() - sum(count for _, count in common)
        return (*common, (_OTHER_SUFFIXES, rest)) if rest else tuple(common)


def walk(
    root: str, folder: str, exclusions: Exclusions, skipped: SkippedFiles | None = None
) -> Iterator[WalkItem]:
    """The image files below `folder` (`""`: the root), in the order in which the catalog sorts paths.

    Symbolic links are skipped, so that the walk neither loops nor leaves the library.
    """
    stack = [_list_folder(root, folder, exclusions, skipped)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, _Folder):
            stack.append(_list_folder(root, item.path, exclusions, skipped))
        else:
            yield item


def count_files(root: str, exclusions: Exclusions) -> tuple[int, tuple[tuple[str, int], ...]]:
    """The number of image files below the root; the suffixes of other files, and their numbers."""
    skipped = SkippedFiles()
    total = sum(isinstance(item, FileFacts) for item in walk(root, "", exclusions, skipped))
    return total, skipped.most_common()


def _list_folder(
    root: str, folder: str, exclusions: Exclusions, skipped: SkippedFiles | None
) -> Iterator[WalkItem | _Folder]:
    """The entries of one folder, in order of path. Memory: the names of the folder's entries."""
    try:
        names = _sorted_names(root, folder, exclusions, skipped)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Unreadable(folder, error.strerror or str(error), is_folder=True)
        return
    prefix = f"{folder}/" if folder else ""
    files: list[str] = []
    for name in names:
        if name.endswith("/"):
            yield from _stat_files(root, folder, files)
            files = []
            yield _Folder(prefix + name[:-1])
        elif len(files) < STAT_BATCH:
            files.append(name)
        else:
            yield from _stat_files(root, folder, files)
            files = [name]
    yield from _stat_files(root, folder, files)


def _sorted_names(root: str, folder: str, exclusions: Exclusions, skipped: SkippedFiles | None) -> list[str]:
    """Names of the entries in the catalog's encoding; folders with a slash, with which their paths sort."""
    absolute_path = os.path.join(root, to_os(folder))  # noqa: PTH118
    descriptor = open_folder(root, to_os(folder))
    try:
        with os.scandir(descriptor) as entries:
            names = [
                to_catalog(entry.name) + ("/" if entry.is_dir(follow_symlinks=False) else "")
                for entry in entries
                if _is_included(absolute_path, entry, exclusions, skipped)
            ]
    finally:
        os.close(descriptor)
    names.sort()
    return names


def _is_included(
    folder: str, entry: os.DirEntry[str], exclusions: Exclusions, skipped: SkippedFiles | None
) -> bool:
    if exclusions.matches_name(entry.name):
        return False
    if entry.is_symlink():
        path = os.path.join(folder, entry.name)  # noqa: PTH118
        _log_link(path, os.path.realpath(path))
        return False
    if entry.is_dir(follow_symlinks=False) or is_image_name(entry.name):
        return True
    if skipped is not None and not is_sidecar_name(entry.name) and entry.is_file(follow_symlinks=False):
        skipped.add(entry.name)
    return False


def _stat_files(root: str, folder: str, names: list[str]) -> list[WalkItem]:
    """The regular files of these names; other kinds of files are skipped."""
    if not names:
        return []
    prefix = f"{folder}/" if folder else ""
    try:
        descriptor = open_folder(root, to_os(folder))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [Unreadable(prefix + name, error.strerror or str(error)) for name in names]
    try:
        return [item for name in names for item in _stat_file(descriptor, root, prefix + name)]
    finally:
        os.close(descriptor)


def _stat_file(folder_descriptor: int, root: str, path: str) -> Iterator[WalkItem]:
    name = path.rpartition("/")[2]
    try:
        status = os.stat(to_os(name), dir_fd=folder_descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Unreadable(path, error.strerror or str(error))
        return
    if stat.S_ISREG(status.st_mode):
        yield facts_of(status, path)
    else:
        _log_special_file(os.path.join(root, path))  # noqa: PTH118


@lru_cache(maxsize=1000)
def _log_special_file(absolute_path: str) -> None:
    """Log a skipped FIFO, socket or device once, not at every scan."""
    logger.info("%s is no regular file (a FIFO, a socket or a device); skipped", absolute_path)


@lru_cache(maxsize=1000)
def _log_link(path: str, target: str) -> None:
    """Log a skipped link once, not at every scan."""
    if f"{path}/".startswith(f"{target}/"):
        logger.warning("%s is a symbolic link to one of its parent folders; skipped", path)
    else:
        logger.info("%s is a symbolic link; skipped", path)

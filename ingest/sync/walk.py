"""Walks the image files of a folder on disk in order of path. Blocking: call it in a thread."""

import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

from ingest.paths import Exclusions, is_image_name, to_catalog, to_os
from tagify.model import FileFacts

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A folder or file that could not be read; whether there are files at or below its path is unknown."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str


WalkItem = FileFacts | Unreadable


def stat_file(root: str, path: str) -> FileFacts | None:
    """The regular file at a path in the catalog's encoding; None where there is none.

    Raises OSError where that is unknown, as on a failing disk.
    """
    try:
        status = os.lstat(os.path.join(root, to_os(path)))  # noqa: PTH118 - names may be no Unicode
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileFacts(path, status.st_size, status.st_mtime_ns, status.st_ino)


def walk(root: str, folder: str, exclusions: Exclusions) -> Iterator[WalkItem]:
    """The image files below `folder` (`""`: the root), in the order in which the catalog sorts paths.

    Symbolic links are skipped, so that the walk neither loops nor leaves the library.
    """
    stack = [_list_folder(root, folder, exclusions)]
    while stack:
        item = next(stack[-1], None)
        if item is None:
            stack.pop()
        elif isinstance(item, _Folder):
            stack.append(_list_folder(root, item.path, exclusions))
        else:
            yield item


def count_files(root: str, exclusions: Exclusions) -> int:
    """The number of image files below the root."""
    return sum(isinstance(item, FileFacts) for item in walk(root, "", exclusions))


def _list_folder(root: str, folder: str, exclusions: Exclusions) -> Iterator[WalkItem | _Folder]:
    """The entries of one folder, in order of path."""
    absolute_path = os.path.join(root, to_os(folder)) if folder else root  # noqa: PTH118
    if folder and os.path.islink(absolute_path):  # noqa: PTH114
        return
    try:
        with os.scandir(absolute_path) as entries:
            included = [entry for entry in entries if _is_included(entry, exclusions)]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield Unreadable(folder, error.strerror or str(error))
        return
    prefix = f"{folder}/" if folder else ""
    by_path = sorted(((_sort_path(prefix, entry), entry) for entry in included), key=itemgetter(0))
    for path, entry in by_path:
        if path.endswith("/"):
            yield _Folder(path[:-1])
        else:
            yield from _file(path, entry)


def _is_included(entry: os.DirEntry[str], exclusions: Exclusions) -> bool:
    if exclusions.matches_name(entry.name):
        return False
    if entry.is_symlink():
        _log_link(entry.path, os.path.realpath(entry.path))
        return False
    return entry.is_dir(follow_symlinks=False) or is_image_name(entry.name)


def _sort_path(prefix: str, entry: os.DirEntry[str]) -> str:
    """The key to sort by: a folder sorts with its slash, as the paths below it do."""
    path = prefix + to_catalog(entry.name)
    return path + "/" if entry.is_dir(follow_symlinks=False) else path


def _file(path: str, entry: os.DirEntry[str]) -> Iterator[WalkItem]:
    try:
        status = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    except OSError as error:
        yield Unreadable(path, error.strerror or str(error))
        return
    yield FileFacts(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=1000)
def _log_link(path: str, target: str) -> None:
    """Log a skipped link once, not at every scan."""
    if f"{path}/".startswith(f"{target}/"):
        logger.warning("%s is a symbolic link to one of its parent folders; skipped", path)
    else:
        logger.info("%s is a symbolic link; skipped", path)

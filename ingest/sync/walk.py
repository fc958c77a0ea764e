"""The image files of a folder, in order of path, from the disk. Runs in a thread."""

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
    """A folder that could not be listed: nothing can be said of what lies below it."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str


WalkItem = FileFacts | Unreadable


def stat_file(root: str, path: str) -> FileFacts | None:
    """The regular file at a path in the catalog's spelling, or None.

    Raises OSError where it cannot be told, as on a disk that fails.
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

    Symbolic links are passed over, so that no loop and nothing outside the library is entered.
    """
    stack = [_list_folder(root, folder, exclusions)]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, _Folder):
            stack.append(_list_folder(root, found.path, exclusions))
        else:
            yield found


def count_files(root: str, exclusions: Exclusions) -> int:
    """The number of image files below the root."""
    return sum(isinstance(found, FileFacts) for found in walk(root, "", exclusions))


def _list_folder(root: str, folder: str, exclusions: Exclusions) -> Iterator[WalkItem | _Folder]:
    """One folder's own entries, in order."""
    below = os.path.join(root, to_os(folder)) if folder else root  # noqa: PTH118
    if folder and os.path.islink(below):  # noqa: PTH114
        return
    try:
        with os.scandir(below) as entries:
            wanted = [entry for entry in entries if _is_included(entry, exclusions)]
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        yield Unreadable(folder, error.strerror or str(error))
        return
    prefix = f"{folder}/" if folder else ""
    places = sorted(((_sort_path(prefix, entry), entry) for entry in wanted), key=itemgetter(0))
    for path, entry in places:
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
    """A folder sorts as the paths below it do, with its slash."""
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
def _log_link(place: str, target: str) -> None:
    """Once for each link, not at every scan."""
    if f"{place}/".startswith(f"{target}/"):
        logger.warning("%s links to a folder that it lies in; passed over", place)
    else:
        logger.info("%s is a symbolic link; passed over", place)

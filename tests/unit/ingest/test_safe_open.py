"""Opening files of a library: what a path may lead to, by openat2 and by the fallback alike."""

import errno
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest import safe_open
from ingest.safe_open import open_folder, open_regular, stat_beneath


@pytest.fixture(params=["openat2", "each component"], autouse=True)
def resolver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "openat2":
        monkeypatch.setattr(safe_open, "_resolve", safe_open._openat2)
    else:
        monkeypatch.setattr(safe_open, "_resolve", safe_open._open_each_component)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    root = tmp_path / "library"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "x.jpg").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.jpg").write_bytes(b"outside")
    return root


def read(root: Path, path: str) -> bytes:
    fd = open_regular(str(root), path)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


def test_a_regular_file_is_opened(library: Path) -> None:
    assert read(library, "a/b/x.jpg") == b"inside"
    assert stat_beneath(str(library), "a/b/x.jpg").st_size == len(b"inside")


def test_the_root_may_be_a_link(library: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(library)
    assert read(tmp_path / "link", "a/b/x.jpg") == b"inside"


def test_a_name_may_be_any_bytes(library: Path) -> None:
    name = os.fsdecode(b"\xff\n.jpg")
    (library / name).write_bytes(b"odd")
    assert read(library, name) == b"odd"


def _linked_file(root: Path) -> str:
    (root / "link.jpg").symlink_to(root.parent / "outside" / "x.jpg")
    return "link.jpg"


def _linked_folder(root: Path) -> str:
    (root / "c").symlink_to(root.parent / "outside")
    return "c/x.jpg"


def _linked_within(root: Path) -> str:
    (root / "d").symlink_to("a")
    return "d/b/x.jpg"


def _fifo(root: Path) -> str:
    os.mkfifo(root / "fifo.jpg")
    return "fifo.jpg"


def _socket(root: Path) -> str:
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(root)
        listener.bind("socket.jpg")
    return "socket.jpg"


def _folder(root: Path) -> str:
    (root / "folder.jpg").mkdir()
    return "folder.jpg"


@pytest.mark.parametrize(
    "make",
    [
        _linked_file,
        _linked_folder,
        _linked_within,
        _fifo,
        _folder,
        lambda root: "../outside/x.jpg",
        lambda root: "a/../../outside/x.jpg",
        lambda root: "missing.jpg",
        lambda root: "missing/x.jpg",
    ],
)
def test_anything_else_is_not_found(library: Path, make: Callable[[Path], str]) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        open_regular(str(library), make(library))
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_socket_is_refused(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(library)
    with pytest.raises(OSError) as caught:
        open_regular(str(library), _socket(library))
    assert caught.value.errno in (errno.ENXIO, errno.ENOENT)


def test_a_folder_that_is_a_link_is_not_listed(library: Path) -> None:
    os.close(open_folder(str(library), "a/b"))
    os.close(open_folder(str(library), ""))
    _linked_folder(library)
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        open_folder(str(library), "c")


def test_a_folder_that_is_swapped_for_a_link_never_leads_out(library: Path) -> None:
    """Another process exchanges a folder and a link to another one while files are opened."""
    (library / "s").symlink_to(library.parent / "outside")
    (library / "t").mkdir()
    (library / "t" / "x.jpg").write_bytes(b"inside")
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            os.rename(library / "s", library / "u")
            os.rename(library / "t", library / "s")
            os.rename(library / "s", library / "t")
            os.rename(library / "u", library / "s")

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(read(library, "s/x.jpg"))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                assert error.errno == errno.EAGAIN
    finally:
        done.set()
        swapping.join()
    assert seen <= {b"inside"}

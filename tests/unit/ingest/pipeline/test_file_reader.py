"""Reading of files that may change meanwhile."""

import os
from pathlib import Path

import pytest

from ingest.pipeline import file_reader
from ingest.pipeline.file_reader import FileChanged, VerifiedReader, read_file


@pytest.fixture(autouse=True)
def all_files_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_reader, "IN_MEMORY_BYTES", 10)


def test_an_upload_of_other_bytes_than_were_hashed_is_aborted(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 100)
    snapshot = read_file(str(tmp_path), "a.jpg")
    path.write_bytes(b"y" * 100)
    stream = VerifiedReader(snapshot)
    assert stream.read(60) == b"y" * 60
    with pytest.raises(FileChanged):
        stream.read(60)
    snapshot.close()


def test_the_bytes_that_were_hashed_are_decoded_and_uploaded_whatever_is_at_the_path(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "folder" / "a.jpg").write_bytes(b"x" * 100)
    (tmp_path / "other" / "a.jpg").write_bytes(b"y" * 100)
    snapshot = read_file(str(tmp_path), "folder/a.jpg")
    (tmp_path / "folder").rename(tmp_path / "moved")
    (tmp_path / "folder").symlink_to("other")
    with snapshot.open_source() as source:
        assert os.pread(source.fileno(), 1000, 0) == b"x" * 100
    assert VerifiedReader(snapshot).read() == b"x" * 100
    assert snapshot.is_unchanged()
    snapshot.close()


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "small.jpg").write_bytes(b"x")
    (tmp_path / "large.jpg").write_bytes(b"x" * 100)
    before = len(os.listdir("/proc/self/fd"))
    for name in ("small.jpg", "large.jpg"):
        read_file(str(tmp_path), name).close()
    assert len(os.listdir("/proc/self/fd")) == before

"""Reading of files that may change meanwhile."""

from pathlib import Path

import pytest

from ingest.pipeline.file_reader import FileChanged, VerifiedReader, read_file


def test_an_upload_of_other_bytes_than_were_hashed_is_aborted(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"x" * 100)
    snapshot = read_file(str(path), "a.jpg")
    path.write_bytes(b"y" * 100)
    stream = VerifiedReader(str(path), snapshot)
    assert stream.read(60) == b"y" * 60
    with pytest.raises(FileChanged):
        stream.read(60)
    stream.close()

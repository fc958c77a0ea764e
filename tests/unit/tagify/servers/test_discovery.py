"""Selection of the S3 server for a data folder: the one that wrote it, else MinIO before SeaweedFS."""

from pathlib import Path

import pytest

from tagify.servers import discovery, s3

FINDERS = {"minio": "find_minio", "seaweedfs": "find_seaweedfs"}


def install(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    """Make discovery find these servers and no others."""
    for kind, finder in FINDERS.items():
        binary = Path(f"/opt/{kind}") if kind in kinds else None
        monkeypatch.setattr(discovery, finder, lambda binary=binary: binary)


def test_new_folder_gets_minio_if_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch, "minio", "seaweedfs")
    assert s3.select_server(tmp_path) == ("minio", Path("/opt/minio"))
    install(monkeypatch, "seaweedfs")
    assert s3.select_server(tmp_path) == ("seaweedfs", Path("/opt/seaweedfs"))


def test_folder_keeps_its_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3.record_server_kind(tmp_path, "seaweedfs")
    install(monkeypatch, "minio", "seaweedfs")
    assert s3.select_server(tmp_path)[0] == "seaweedfs"


def test_marker_of_older_releases_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "server").write_text("weed\n")
    install(monkeypatch, "minio", "seaweedfs")
    assert s3.select_server(tmp_path)[0] == "seaweedfs"


def test_folder_of_a_missing_server_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3.record_server_kind(tmp_path, "minio")
    install(monkeypatch, "seaweedfs")
    with pytest.raises(s3.S3ServerMismatch, match="written by minio"):
        s3.select_server(tmp_path)


def test_no_server_error_says_how_to_install_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    install(monkeypatch)
    with pytest.raises(discovery.ServerNotFound, match="pip install"):
        s3.select_server(tmp_path)

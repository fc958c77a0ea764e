"""Which S3 server runs on a data folder: the one that wrote it, never another in silence."""

from pathlib import Path

import pytest

from tagify.servers import discovery, s3


def have(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    for kind in ("minio", "weed"):
        binary = Path(f"/opt/{kind}") if kind in kinds else None
        monkeypatch.setattr(discovery, kind, lambda binary=binary: binary)


def test_a_new_folder_gets_minio_where_there_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    have(monkeypatch, "minio", "weed")
    assert s3.choose(tmp_path) == ("minio", Path("/opt/minio"))
    have(monkeypatch, "weed")
    assert s3.choose(tmp_path) == ("weed", Path("/opt/weed"))


def test_a_folder_keeps_its_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3.remember(tmp_path, "weed")
    have(monkeypatch, "minio", "weed")
    assert s3.choose(tmp_path)[0] == "weed"


def test_another_server_is_never_started_on_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3.remember(tmp_path, "minio")
    have(monkeypatch, "weed")
    with pytest.raises(s3.WrongServer, match="written by minio"):
        s3.choose(tmp_path)


def test_none_at_all_says_how_it_gets_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    have(monkeypatch)
    with pytest.raises(discovery.NotFoundHere, match="pip install"):
        s3.choose(tmp_path)

"""The walk of a folder: order of paths, symbolic links."""

from pathlib import Path

import pytest

from ingest.paths import Exclusions
from ingest.sync.walk import walk


def test_the_walk_is_in_order_of_path_and_skips_links(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("b/z.jpg", "b.jpg", "b-a/x.jpg", "a/q/r.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    (tmp_path / "link.jpg").symlink_to(tmp_path / "b.jpg")
    with caplog.at_level("INFO"):
        paths = [item.path for item in walk(str(tmp_path), "", Exclusions(()))]
    assert f"{tmp_path}/b/loop is a symbolic link to one of its parent folders; skipped" in caplog.text
    assert paths == sorted(paths) == ["a/q/r.jpg", "b-a/x.jpg", "b.jpg", "b/z.jpg"]


def test_a_link_to_a_folder_is_skipped_even_as_the_start_of_a_walk(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "a.jpg").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert list(walk(str(tmp_path), "link", Exclusions(()))) == []
    assert list(walk(str(tmp_path), "target/a.jpg", Exclusions(()))) == []

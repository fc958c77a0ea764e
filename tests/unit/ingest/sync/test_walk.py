"""The walk of a folder: order of paths, symbolic links."""

from pathlib import Path

import pytest

from ingest.paths import Exclusions
from ingest.sync.walk import count_files, walk


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


def test_skipped_files_are_counted_by_suffix_in_bounded_memory(tmp_path: Path) -> None:
    names = ["a.jpg", "a.jpg.xmp", "x/b.MOV", "x/c.mov", "d.txt", "noext", "x/#recycle/e.mov", ".hidden.mov"]
    odd = [f"n.{number}" for number in range(900)] + ["bad.\udcff", "long." + "x" * 40]
    for name in (*names, *odd):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "link.mov").symlink_to(tmp_path / "d.txt")
    total, skipped = count_files(str(tmp_path), Exclusions((".*", "#recycle")))
    counts = dict(skipped)
    assert total == 1
    assert counts[".mov"] == 2
    assert len(counts) == 21
    assert sum(counts.values()) == 4 + 902


def test_a_folder_of_images_alone_has_no_skipped_files(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert count_files(str(tmp_path), Exclusions(())) == (1, ())

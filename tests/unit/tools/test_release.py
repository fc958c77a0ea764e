"""What `make release` refuses. The whole of it is run by tests/e2e/test_release.py."""

import io
import subprocess
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

from tools.release import (
    ROOT,
    ReleaseError,
    changelog_section,
    check_archives,
    check_pinned,
    check_repository,
    check_unreleased,
    normalize_sdist,
    project_version,
    write_constraints,
)

CHANGELOG = (
    "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-01-31\n\n- One change.\n\n## [1.1.0] - 2026-01-01\n"
)
TRACKED = ["Makefile", "docs/README.md", ".gitignore", "nginx", "tagify/model.py", "api/gallery/main.js"]


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@invalid")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "test: begin")
    return tmp_path


def archives(folder: Path, in_sdist: Iterable[str], in_wheel: Iterable[str]) -> tuple[Path, Path]:
    sdist, wheel = folder / "tagify.tar.gz", folder / "tagify.whl"
    with tarfile.open(sdist, "w:gz") as archive:
        for name in in_sdist:
            archive.addfile(tarfile.TarInfo(f"tagify-1.0/{name}"), io.BytesIO())
    with zipfile.ZipFile(wheel, "w") as archive_:
        for name in in_wheel:
            archive_.writestr(name, b"")
    return sdist, wheel


def test_an_sdist_is_the_same_whoever_packs_it_and_when(tmp_path: Path) -> None:
    sdists = []
    for number, names in enumerate((["b", "a"], ["a", "b"])):
        sdist = tmp_path / f"{number}/tagify-1.0.tar.gz"
        sdist.parent.mkdir()
        with tarfile.open(sdist, "w:gz") as archive:
            for name in names:
                member = tarfile.TarInfo(f"tagify-1.0/{name}")
                member.size, member.mtime, member.uid, member.uname = (
                    4,
                    1000.5 * (number + 1),
                    number,
                    str(number),
                )
                member.mode = 0o664 if number else 0o644
                archive.addfile(member, io.BytesIO(b"text"))
        normalize_sdist(sdist, 1_700_000_000)
        sdists.append(sdist.read_bytes())
    assert sdists[0] == sdists[1]
    with tarfile.open(fileobj=io.BytesIO(sdists[0])) as archive:
        assert [(m.name, m.mtime, m.mode) for m in archive.getmembers()] == [
            ("tagify-1.0/a", 1_700_000_000, 0o644),
            ("tagify-1.0/b", 1_700_000_000, 0o644),
        ]


def test_constraints_are_the_locked_versions_without_hashes(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/host.txt").write_text(
        "a==1.0 \\\n    --hash=sha256:00 \\\n    --hash=sha256:01\nb==2 ; python_version < '3.13' \\\n"
        "    --hash=sha256:02\n"
    )
    path = write_constraints(tmp_path, "1.0")
    assert path.read_text() == "a==1.0\nb==2 ; python_version < '3.13'\n"
    check_pinned("A==1.0\npip==24\ntagify==1.0\n", path.read_text())
    with pytest.raises(ReleaseError, match=r"not in the constraints: a==1\.1, c-d==3;"):
        check_pinned("a==1.1\nB==2\nc_d==3\n", path.read_text())


def test_a_section_of_the_changelog_is_read() -> None:
    assert changelog_section(CHANGELOG, "1.2.0") == "- One change."


@pytest.mark.parametrize("version", ["1.3.0", "1.1.0", "1.2", "Unreleased"])
def test_a_missing_or_empty_section_is_refused(version: str) -> None:
    with pytest.raises(ReleaseError, match=r"CHANGELOG\.md needs a section"):
        changelog_section(CHANGELOG, version)


def test_unreleased_changes_are_refused() -> None:
    check_unreleased(CHANGELOG)
    with pytest.raises(ReleaseError, match="unreleased changes"):
        check_unreleased(CHANGELOG.replace("[Unreleased]\n", "[Unreleased]\n\n- One more.\n"))


def test_the_current_version_has_a_section() -> None:
    assert changelog_section((ROOT / "CHANGELOG.md").read_text(), project_version(ROOT))


def test_a_clean_tree_is_accepted(repository: Path) -> None:
    check_repository(repository, "1.2.0")


def test_a_dirty_tree_is_refused(repository: Path) -> None:
    (repository / "new.txt").write_text("new")
    with pytest.raises(ReleaseError, match=r"the working tree has changes.*\n.*new\.txt"):
        check_repository(repository, "1.2.0")


def test_a_version_that_is_tagged_is_refused(repository: Path) -> None:
    git(repository, "tag", "v1.2.0")
    with pytest.raises(ReleaseError, match=r"the tag v1\.2\.0 exists"):
        check_repository(repository, "1.2.0")


def test_complete_archives_are_accepted(tmp_path: Path) -> None:
    in_wheel = [*TRACKED[-2:], "tagify-1.0.dist-info/METADATA"]
    check_archives(TRACKED, *archives(tmp_path, [*TRACKED[:2], *TRACKED[-2:], "PKG-INFO"], in_wheel))


@pytest.mark.parametrize(
    ("in_sdist", "in_wheel", "problem"),
    [
        (TRACKED[1:], TRACKED[-2:], r"missing in tagify\.tar\.gz: Makefile"),
        (TRACKED, TRACKED[-1:], r"missing in tagify\.whl: tagify/model\.py"),
        (TRACKED, [*TRACKED[-2:], "tests/conftest.py"], r"not to be in tagify\.whl: tests/conftest\.py"),
    ],
)
def test_incomplete_archives_are_refused(
    tmp_path: Path, in_sdist: list[str], in_wheel: list[str], problem: str
) -> None:
    with pytest.raises(ReleaseError, match=problem):
        check_archives(TRACKED, *archives(tmp_path, in_sdist, in_wheel))

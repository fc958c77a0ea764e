"""`make release` in a clone of the repository: archives are built, checked, installed and run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tools.release import ROOT, project_version


@pytest.mark.slow
def test_a_dry_run_makes_both_archives_and_no_tag(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-tags", str(ROOT), str(clone)], check=True)
    # As `make release RELEASE_DRY_RUN=1` does, with the Python of this venv.
    command = [sys.executable, "-m", "tools.release", "--no-tag"]
    result = subprocess.run(command, cwd=clone, capture_output=True, text=True, timeout=600, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    version = project_version(ROOT)
    assert result.stdout.splitlines()[-1] == (
        f"tagify-{version}.tar.gz, tagify-{version}-py3-none-any.whl and "
        f"tagify-{version}-constraints.txt are in dist/"
    )
    assert {path.name for path in (clone / "dist").iterdir()} == {
        f"tagify-{version}.tar.gz",
        f"tagify-{version}-py3-none-any.whl",
        f"tagify-{version}-constraints.txt",
        "SHA256SUMS",
    }
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=clone / "dist", check=True)
    tags = subprocess.run(["git", "tag"], cwd=clone, capture_output=True, text=True, check=True)
    assert tags.stdout == ""


def test_the_make_target_passes_the_dry_run_on() -> None:
    for value, flag in (("", False), ("1", True)):
        command = ["make", "--dry-run", "release", f"RELEASE_DRY_RUN={value}"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert ("tools.release --no-tag" in result.stdout) is flag

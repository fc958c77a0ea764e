"""Builds a release, checks it and tags it: `make release`, or `python -m tools.release [--no-tag]`.

The version is the one in pyproject.toml. The working tree must be clean, and CHANGELOG.md must have a section
for the version; to be tagged, it must have no unreleased changes. The sdist and the wheel are built into
dist/, their contents are checked, and the wheel is installed into an empty venv and run. Only then is the tag
`vVERSION` created; nothing is pushed or uploaded.
"""

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

PACKAGES = ("tagify", "ingest", "api", "edge")

NOT_IN_SDIST = (".", "nginx", "systemd")
"""Beginnings of tracked paths that the sdist leaves out: dotfiles, and two links into tagify/deploy."""

SAMPLES = 3
"""Images of the sample library that the installed wheel draws."""


class ReleaseError(Exception):
    """The release cannot be made; the message says what to do."""


def project_version(root: Path) -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"])


def changelog_section(text: str, version: str) -> str:
    """The text below the version's heading. Raises ReleaseError if it is missing or empty."""
    section = _section(text, rf"\[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d")
    if not section:
        raise ReleaseError(f"CHANGELOG.md needs a section '## [{version}] - YYYY-MM-DD' with its changes")
    return section


def check_unreleased(text: str) -> None:
    """Raise ReleaseError if changes are listed that are in no release."""
    if _section(text, r"\[Unreleased\]"):
        raise ReleaseError("CHANGELOG.md lists unreleased changes: give them a version and a date")


def _section(text: str, heading: str) -> str:
    """The text below a heading, which is a pattern; empty if there is none."""
    match = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return match[1].strip() if match else ""


def check_repository(root: Path, version: str) -> None:
    """Raise ReleaseError for a dirty tree, a version without changelog, or one that is tagged already."""
    if dirty := _run(root, "git", "status", "--porcelain"):
        raise ReleaseError(f"the working tree has changes; commit or stash them:\n{dirty}")
    changelog_section((root / "CHANGELOG.md").read_text(), version)
    if _run(root, "git", "tag", "--list", f"v{version}"):
        raise ReleaseError(f"the tag v{version} exists; raise the version in pyproject.toml")


def build(root: Path, version: str) -> tuple[Path, Path]:
    """Build both archives into dist/; their paths."""
    dist = root / "dist"
    _run(root, sys.executable, "-m", "build", "--outdir", str(dist))
    return dist / f"tagify-{version}.tar.gz", dist / f"tagify-{version}-py3-none-any.whl"


def check_archives(tracked: Sequence[str], sdist: Path, wheel: Path) -> None:
    """Compare the archives with the files that git tracks. Raises ReleaseError.

    The sdist has all of them (docs, tests and locks too); the wheel those of the packages, and its own
    metadata.
    """
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive_:
        in_wheel = {name for name in archive_.namelist() if ".dist-info/" not in name}
    packaged = {name for name in tracked if name.split("/")[0] in PACKAGES}
    problems = {
        f"missing in {sdist.name}": {n for n in tracked if not n.startswith(NOT_IN_SDIST)} - in_sdist,
        f"missing in {wheel.name}": packaged - in_wheel,
        f"not to be in {wheel.name}": in_wheel - packaged,
    }
    for problem, names in problems.items():
        if names:
            raise ReleaseError(f"{problem}: {', '.join(sorted(names))}; see MANIFEST.in and pyproject.toml")


def check_installation(root: Path, wheel: Path, version: str) -> None:
    """Install the wheel into an empty venv and run it. Raises ReleaseError."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        _run(root, sys.executable, "-m", "venv", str(folder / "venv"))
        pip = (str(folder / "venv/bin/pip"), "install", "--quiet", "--disable-pip-version-check")
        _run(root, *pip, "--require-hashes", "-r", "locks/host.txt")
        _run(root, *pip, "--no-deps", str(wheel))
        tagify = str(folder / "venv/bin/tagify")
        # Outside the repository, so that the installed packages are imported.
        if (said := _run(folder, tagify, "--version")) != f"tagify {version}":
            raise ReleaseError(f"the installed wheel calls itself {said!r}")
        _run(folder, tagify, "sample", str(folder / "photos"), "--count", str(SAMPLES))
        if len([path for path in (folder / "photos").rglob("*") if path.is_file()]) < SAMPLES:
            raise ReleaseError("the installed wheel draws no sample library")


def main() -> int:
    """Make the release; the exit status."""
    parser = argparse.ArgumentParser(description="Build, check and tag a release.")
    parser.add_argument("--no-tag", action="store_true", help="do everything but the tag")
    parsed = parser.parse_args()
    version = project_version(ROOT)
    try:
        check_repository(ROOT, version)
        if not parsed.no_tag:
            check_unreleased((ROOT / "CHANGELOG.md").read_text())
        sdist, wheel = build(ROOT, version)
        check_archives(_run(ROOT, "git", "ls-files").splitlines(), sdist, wheel)
        check_installation(ROOT, wheel, version)
        if not parsed.no_tag:
            _run(ROOT, "git", "tag", "--annotate", f"v{version}", "--message", f"Tagify {version}")
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    print(f"{sdist.name} and {wheel.name} are in dist/" + ("" if parsed.no_tag else f", tagged v{version}"))
    return 0


def _run(folder: Path, *command: str) -> str:
    """What the command prints. Raises ReleaseError if it fails."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())

"""Builds a release, checks it and tags it: `make release`, or `python -m tools.release [--no-tag]`.

The version is the one in pyproject.toml. The working tree must be clean, and CHANGELOG.md must have a section
for the version; to be tagged, it must have no unreleased changes. The sdist and the wheel are built twice
from the commit, and both builds must be equal. Their contents are checked, and the wheel is installed into an
empty venv with the versions of `tagify-VERSION-constraints.txt`, which belongs to it, and run. Only then is
the tag `vVERSION` created; nothing is pushed or uploaded.
"""

import argparse
import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]

PACKAGES = ("tagify", "ingest", "api", "edge")

NOT_IN_SDIST = (".", "nginx", "systemd")
"""Beginnings of tracked paths that the sdist leaves out: dotfiles, and two links into tagify/deploy."""

SAMPLES = 3
"""Images of the sample library that the installed wheel draws."""


OF_VENV = ("pip", "setuptools", "tagify", "wheel")
"""Packages of an empty venv, and ours."""


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
    """Build both archives of the commit into dist/; their paths. Raises ReleaseError if two builds differ."""
    dist = root / "dist"
    names = (f"tagify-{version}.tar.gz", f"tagify-{version}-py3-none-any.whl")
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        for folder in (Path(first), Path(second)):
            build_commit(root, folder)
        for name in names:
            if (Path(first) / name).read_bytes() != (Path(second) / name).read_bytes():
                raise ReleaseError(f"two builds of {name} differ: the release cannot be reproduced")
        dist.mkdir(exist_ok=True)
        for name in names:
            shutil.copyfile(Path(first) / name, dist / name)
    return dist / names[0], dist / names[1]


def build_commit(root: Path, folder: Path) -> None:
    """Build what the commit contains into the folder; no file of the working tree gets into it."""
    committed_at = _run(root, "git", "log", "-1", "--format=%ct")
    source = folder / "source"
    source.mkdir()
    _run(root, "git", "archive", "--output", str(folder / "source.tar"), "HEAD")
    _run(source, "tar", "-xf", "../source.tar")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": committed_at}
    _run(source, sys.executable, "-m", "build", "--outdir", str(folder), environment=environment)
    for sdist in folder.glob("*.tar.gz"):
        normalize_sdist(sdist, int(committed_at))


def normalize_sdist(sdist: Path, seconds: int) -> None:
    """Write the sdist again, with sorted names, one time, and no trace of the user that built it."""
    packed = io.BytesIO()
    with tarfile.open(sdist) as old, tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            member.mtime, member.uid, member.gid, member.uname, member.gname = seconds, 0, 0, "", ""
            member.pax_headers = {}
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    with sdist.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=seconds) as zipped:
        zipped.write(packed.getvalue())


def write_constraints(root: Path, version: str) -> Path:
    """Write the versions of locks/host.txt beside the wheel, for `pip install -c`; its path.

    Without the hashes: pip would then demand one of the wheel, too.
    """
    lines = (root / "locks/host.txt").read_text().splitlines()
    pins = [line.removesuffix("\\").rstrip() for line in lines if line and not line.startswith((" ", "#"))]
    path = root / "dist" / f"tagify-{version}-constraints.txt"
    path.write_text("".join(f"{pin}\n" for pin in pins))
    return path


def write_checksums(*files: Path) -> None:
    """Write SHA256SUMS beside the files, for `sha256sum -c`."""
    lines = (f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files)
    (files[0].parent / "SHA256SUMS").write_text("".join(lines))


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


def check_installation(python: str, wheel: Path, constraints: Path, version: str) -> None:
    """Install the wheel into an empty venv of this Python, and run it. Raises ReleaseError."""
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        _run(folder, python, "-I", "-m", "venv", str(folder / "venv"))
        pip = (str(folder / "venv/bin/python"), "-I", "-m", "pip", "--disable-pip-version-check")
        _run(folder, *pip, "install", "--quiet", "--constraint", str(constraints), str(wheel))
        _run(folder, *pip, "check")
        check_pinned(_run(folder, *pip, "list", "--format=freeze"), constraints.read_text())
        tagify = str(folder / "venv/bin/tagify")
        # Outside the repository, so that the installed packages are imported.
        if (said := _run(folder, tagify, "--version")).split()[:2] != ["tagify", version]:
            raise ReleaseError(f"the installed wheel calls itself {said!r}")
        _run(folder, tagify, "sample", str(folder / "photos"), "--count", str(SAMPLES))
        if len([path for path in (folder / "photos").rglob("*") if path.is_file()]) < SAMPLES:
            raise ReleaseError("the installed wheel draws no sample library")


def check_pinned(installed: str, constraints: str) -> None:
    """Raise ReleaseError if a package is installed that the constraints do not pin."""
    pinned = {_pin(line) for line in constraints.splitlines()}
    others = [pin for pin in map(_pin, installed.splitlines()) if pin not in pinned | {None}]
    if others:
        raise ReleaseError(f"not in the constraints: {', '.join(map(str, others))}; run make lock")


def _pin(line: str) -> str | None:
    """`name==version` with a normalized name; None for a package of the venv itself."""
    name, _, version = line.partition(";")[0].strip().partition("==")
    return None if name in OF_VENV else f"{re.sub('[-_.]+', '-', name).lower()}=={version}"


def main() -> int:
    """Make the release; the exit status."""
    parser = argparse.ArgumentParser(description="Build, check and tag a release.")
    parser.add_argument("--no-tag", action="store_true", help="do everything but the tag")
    parser.add_argument(
        "--with-python", action="append", default=[], metavar="PYTHON", help="also install with this Python"
    )
    parsed = parser.parse_args()
    version = project_version(ROOT)
    try:
        check_repository(ROOT, version)
        if not parsed.no_tag:
            check_unreleased((ROOT / "CHANGELOG.md").read_text())
        sdist, wheel = build(ROOT, version)
        check_archives(_run(ROOT, "git", "ls-files").splitlines(), sdist, wheel)
        constraints = write_constraints(ROOT, version)
        for python in (sys.executable, *parsed.with_python):
            check_installation(python, wheel, constraints, version)
        write_checksums(sdist, wheel, constraints)
        if not parsed.no_tag:
            _run(ROOT, "git", "tag", "--annotate", f"v{version}", "--message", f"Tagify {version}")
    except ReleaseError as error:
        print(f"no release: {error}", file=sys.stderr)
        return 1
    print(
        f"{sdist.name}, {wheel.name} and {constraints.name} are in dist/"
        + ("" if parsed.no_tag else f", tagged v{version}")
    )
    return 0


def _run(folder: Path, *command: str, environment: Mapping[str, str] | None = None) -> str:
    """What the command prints. Raises ReleaseError if it fails."""
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        raise ReleaseError(f"{' '.join(command)} failed:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.stdout.strip()


if __name__ == "__main__":
    raise SystemExit(main())

"""Locked installation: locks and project agree, a changed file is refused, progress is shown."""

import hashlib
import re
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import install_locked
from tools.install_locked import ROOT, Progress, remedy, run_with_progress

LOCKS = {path.stem: path.read_text() for path in (ROOT / "locks").glob("*.txt")}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def versions(lock: str) -> dict[str, str]:
    """The locked versions by normalized name."""
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", LOCKS[lock], re.MULTILINE)
    }


def requirements(*extras: str) -> list[Requirement]:
    optional = PROJECT["project"]["optional-dependencies"]
    return [
        Requirement(text)
        for text in (
            *PROJECT["project"]["dependencies"],
            *(each for extra in extras for each in optional[extra]),
        )
    ]


@pytest.mark.parametrize(
    ("lock", "extras"), [("host", ()), ("up", ("embedded",)), ("dev", ("embedded", "dev", "bench"))]
)
def test_each_requirement_is_locked_in_a_version_it_permits(lock: str, extras: tuple[str, ...]) -> None:
    locked = versions(lock)
    for requirement in requirements(*extras):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


def test_a_package_has_the_same_version_in_all_locks() -> None:
    everything = versions("dev")
    assert versions("host").items() <= versions("up").items() <= everything.items()


def test_the_build_uses_the_locked_setuptools() -> None:
    (required,) = PROJECT["build-system"]["requires"]
    assert f"{required} \\" in LOCKS["build"]
    assert f"BUILD_TOOL = {required}\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_no_addresses(lock: str) -> None:
    text = LOCKS[lock]
    assert "://" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def install(folder: Path, digest: str, capfd: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """Install a wheel made here from a lock with this hash: pip's status and the output."""
    wheel = folder / "probe-1.0-py3-none-any.whl"
    info = "probe-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(zipfile.ZipInfo("probe.py"), "")
        archive.writestr(
            zipfile.ZipInfo(f"{info}/METADATA"), "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n"
        )
        archive.writestr(
            zipfile.ZipInfo(f"{info}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(zipfile.ZipInfo(f"{info}/RECORD"), "")
    lock = folder / "lock.txt"
    lock.write_text(f"probe==1.0 --hash=sha256:{digest or hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    command = [
        *install_locked.PIP,
        "--no-index",
        "--find-links",
        str(folder),
        "--target",
        str(folder / "out"),
    ]
    status = run_with_progress([*command, *install_locked.LOCKED, "-r", str(lock)], Progress(1))
    return status, capfd.readouterr().err


def test_a_locked_package_is_installed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, output = install(tmp_path, "", capfd)
    assert status == 0, output
    assert (tmp_path / "out/probe.py").exists()
    assert "1 packages are installed" in output


def test_a_changed_file_is_refused_with_advice(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status, output = install(tmp_path, "0" * 64, capfd)
    assert status != 0
    assert not (tmp_path / "out/probe.py").exists()
    assert "a downloaded file differs from the one that was locked" in output


@pytest.mark.parametrize(
    ("output", "advice"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("Temporary failure in name resolution", "cannot be reached"),
        ("No matching distribution found for aiohttp==3.14.5", "cannot be reached"),
        ("Segmentation fault", ""),
    ],
)
def test_a_failure_says_what_to_do(output: str, advice: str) -> None:
    assert advice in remedy(output)
    assert bool(remedy(output)) == bool(advice)


def test_progress_shows_packages_megabytes_rate_and_time_left() -> None:
    progress = Progress(4)
    progress.read("Collecting aiohttp==3.14.5\n")
    progress.read("  Downloading aiohttp-3.14.5-cp311.whl (1.5 MB)\n")
    progress.read("Collecting fiftyone\n")
    progress.read("  Using cached fiftyone-0.4.whl (500 kB)\n")
    assert progress.text(10) == "  2 of 4 packages, 2 MB, 0.2 MB/s, about 10 s left: fiftyone (500 kB)"
    progress.read("Collecting a\nCollecting b\n")
    progress.read("Collecting b\n")
    progress.read("Installing collected packages: a\n")
    assert progress.text(20).endswith("4 of 4 packages, 2 MB, 0.1 MB/s: unpacking")


def test_packages_of_other_systems_are_not_counted() -> None:
    lock = "a==1 \\\nb==2 ; os_name == 'nt' or sys_platform == 'win32' \\\n"
    assert install_locked.locked_packages(lock) == ["a"]
    assert sys.platform == "linux"

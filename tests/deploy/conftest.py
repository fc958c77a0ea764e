"""A throwaway host with Tagify installed, shared by the tests of a module."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tagify.servers import discovery
from tests.support import pictures, release
from tests.support.servers import skip_or_fail
from tests.support.throwaway_host import ThrowawayHost, throwaway_host

SITE = "http://127.0.0.1"
LARGE = 12_000_000
"""Size of one of the originals, in bytes: larger than all socket buffers between edge and client."""


def make_install(options: str = "--with-servers") -> str:
    """The command line that installs the working tree, from packages on the host."""
    return (
        "cd /usr/src/tagify && PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/wheels "
        f"make install PYTHON=/usr/bin/python3 EXTRAS='[embedded]' INSTALL='{options}'"
    )


MAKE_INSTALL = make_install()


@contextmanager
def bare_host(folder: Path, minio: Path | None) -> Iterator[ThrowawayHost]:
    """A booted host with the working tree, a library of seven images and, if given, the MinIO binary."""
    rootfs = folder / "rootfs"
    release.copy_working_tree(rootfs / "usr/src/tagify")
    shutil.copytree(release.download_packages(), rootfs / "opt/wheels")
    if minio is not None:
        (rootfs / "usr/local/bin").mkdir(parents=True)
        shutil.copy2(minio, rootfs / "usr/local/bin/minio")
    library = rootfs / "srv/photos"
    library.mkdir(parents=True)
    for number in range(7):
        data = pictures.jpeg(800, 600, seed=number)
        (library / f"{number}.jpg").write_bytes(data if number else data.ljust(LARGE, b"\0"))
    with throwaway_host(folder / "host", rootfs) as booted:
        yield booted


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThrowawayHost]:
    """A host after `make install`, with embedded MongoDB and MinIO."""
    minio = discovery.find_minio() or skip_or_fail("minio", "make minio")
    with bare_host(tmp_path_factory.mktemp("host"), minio) as booted:
        booted.shell(MAKE_INSTALL, timeout_s=300)
        yield booted

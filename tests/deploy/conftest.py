"""A host with Tagify installed on it, for all tests of a module."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support import pictures, release
from tests.support.box import Box, box

MAKE_INSTALL = (
    "cd /usr/src/tagify && PIP_NO_INDEX=1 PIP_FIND_LINKS=/opt/wheels "
    "make install PYTHON=/usr/bin/python3 EXTRAS='[embedded]' INSTALL=--with-servers"
)
SITE = "http://127.0.0.1"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A booted box where `make install` was run on the working tree."""
    folder = tmp_path_factory.mktemp("host")
    rootfs = folder / "rootfs"
    release.source(rootfs / "usr/src/tagify")
    shutil.copytree(release.wheels(), rootfs / "opt/wheels")
    library = rootfs / "srv/photos"
    library.mkdir(parents=True)
    for number in range(6):
        (library / f"{number}.jpg").write_bytes(pictures.jpeg(800, 600, seed=number))
    with box(folder / "box", rootfs) as booted:
        booted.shell(MAKE_INSTALL, timeout_s=300)
        yield booted

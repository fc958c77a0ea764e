"""Private and undocumented parts of diskcache that the cache uses; no other module touches them.

Checked with diskcache 5.6.3. The bound in pyproject.toml is the next minor version: compare the names below
with a new one and run the tests of the edge's cache, then raise it.
"""

from pathlib import Path

import diskcache
from diskcache.core import MODE_BINARY

BINARY = MODE_BINARY
"""The mode of a value that is a binary file, which `Disk.store` returns. `diskcache.core` is undocumented."""


class DirectoryDisk(diskcache.Disk):  # type: ignore[misc]
    """A `Disk` with its directory as a public property.

    `Disk._directory`: the directory passed to `Disk.__init__`. No public attribute contains it.
    """

    @property
    def directory(self) -> Path:
        """Directory of the cache."""
        return Path(self._directory)

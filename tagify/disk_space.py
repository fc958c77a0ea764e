"""Free space of a disk."""

import shutil
from pathlib import Path

MB = 1_000_000


def free_megabytes(path: Path) -> int:
    """Return the free space at a path, or at its nearest existing parent, in MB. Blocks."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    return shutil.disk_usage(existing).free // MB

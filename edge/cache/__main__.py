"""`python -m edge.cache stats|clear`: prints the size of the configured disk cache, or empties it."""

import sys

from edge.cache.index import CACHE_ERRORS, CacheIndex, KeyedFileDisk, XAccelDisk
from tagify.errors import SettingsError
from tagify.settings import EdgeSettings, load


def main(arguments: list[str]) -> int:
    """Run one command and print its result; returns the exit status."""
    if arguments not in (["stats"], ["clear"]):
        print("python -m edge.cache stats|clear", file=sys.stderr)
        return 2
    try:
        settings = load(EdgeSettings)
    except SettingsError as error:
        print(f"tagify: {error}", file=sys.stderr)
        return 2
    root = settings.edge_cache_dir
    if not (root / "cache.db").is_file():
        print(f"{root}: no cache found")
        return 0
    try:
        disk = XAccelDisk if settings.edge_x_accel else KeyedFileDisk
        index = CacheIndex(root, settings.edge_cache_bytes, disk=disk)
        stats = index.stats()
        if arguments == ["clear"]:
            print(f"{root}: {index.clear()} variants removed ({stats.size_bytes / 1e6:.1f} MB)")
        else:
            used_mb, limit_mb = stats.size_bytes / 1e6, stats.limit_bytes / 1e6
            print(f"{root}: {stats.entries} variants, {used_mb:.1f} MB of at most {limit_mb:.0f} MB")
        index.close()
    except CACHE_ERRORS as error:
        print(f"tagify: the cache in {root} cannot be used: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

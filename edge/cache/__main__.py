"""`python -m edge.cache stats|clear`: looks at the cache folder of the settings, or empties it."""

import sys

from edge.cache.index import FAULTS, Ledger, NamedBodies, NamedFiles
from tagify.errors import SettingsError
from tagify.settings import EdgeSettings, load


def main(words: list[str]) -> int:
    """Print what the folder holds or how much was removed; the exit status."""
    if words not in (["stats"], ["clear"]):
        print("python -m edge.cache stats|clear", file=sys.stderr)
        return 2
    try:
        settings = load(EdgeSettings)
    except SettingsError as error:
        print(f"tagify: {error}", file=sys.stderr)
        return 2
    folder = settings.edge_cache_dir
    if not (folder / "cache.db").is_file():
        print(f"{folder}: no cache is there")
        return 0
    try:
        disk = NamedBodies if settings.edge_x_accel else NamedFiles
        ledger = Ledger(folder, settings.edge_cache_bytes, disk=disk)
        stats = ledger.stats()
        if words == ["clear"]:
            print(f"{folder}: {ledger.clear()} variants removed ({stats.size / 1e6:.1f} MB)")
        else:
            used, limit = stats.size / 1e6, stats.limit / 1e6
            print(f"{folder}: {stats.entries} variants, {used:.1f} MB of at most {limit:.0f} MB")
        ledger.close()
    except FAULTS as error:
        print(f"tagify: the cache in {folder} cannot be used: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

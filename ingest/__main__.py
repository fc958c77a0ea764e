"""`python -m ingest`: the daemon. With `--once PATH`: import one folder and exit."""

import argparse
from pathlib import Path

from ingest.app import build
from ingest.import_once import import_once
from tagify.runtime import Address, run, serve
from tagify.settings import IngestSettings


def main() -> int:
    """Parse the command line and run; the exit status."""
    parser = argparse.ArgumentParser(prog="ingest", description="Keeps the catalog equal to the folders.")
    parser.add_argument("--once", type=Path, metavar="PATH", help="import a folder, and exit")
    folder = parser.parse_args().once
    if folder is None:
        return serve("ingest", IngestSettings, build, lambda s: Address(s.ingest_host, s.ingest_port))
    return run(
        "ingest", IngestSettings, lambda settings: import_once(settings, folder.expanduser().resolve())
    )


if __name__ == "__main__":
    raise SystemExit(main())

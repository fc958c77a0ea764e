"""`python -m ingest`: the daemon."""

from ingest.app import build
from tagify.runtime import serve
from tagify.settings import IngestSettings

if __name__ == "__main__":
    raise SystemExit(serve("ingest", IngestSettings, build, lambda s: (s.ingest_host, s.ingest_port)))

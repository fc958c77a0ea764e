"""The result of a benchmark as JSON: bench/results/SUITE.json, overwritten by each run.

    {"suite": "edge_cache", "date": "2026-11-25T10:00:00+00:00", "commit": "1a2b3c...", "command": [...],
     "machine": {"cores": 2, ...}, "figures": {GROUP: {NAME: NUMBER}}, "ratios": {GROUP: {NAME: NUMBER}}}

A name ends with its unit (`_ms`, `_per_s`, `_mb`). Ratios compare Tagify with a peer of the same run, so they
can be compared between machines.
"""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results"

Groups = dict[str, dict[str, float]]


class Results:
    """Collects the figures and ratios of one run."""

    def __init__(self) -> None:
        self._figures: Groups = {}
        self._ratios: Groups = {}

    def figures(self, group: str, **values: float) -> None:
        """Add absolute figures of this machine."""
        self._figures.setdefault(group, {}).update(values)

    def ratios(self, group: str, **values: float) -> None:
        """Add ratios of Tagify to a peer, or of one way to another."""
        self._ratios.setdefault(group, {}).update(values)

    def document(self, suite: str) -> dict[str, Any]:
        """All of it, with the machine, commit, date and command."""
        return {
            "suite": suite,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "command": sys.orig_argv,
            "machine": machine(),
            "figures": _rounded(self._figures),
            "ratios": _rounded(self._ratios),
        }


@contextmanager
def recorded(suite: str, folder: Path = RESULTS) -> Iterator[Results]:
    """The results of the block, written when it ends without an error."""
    results = Results()
    yield results
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{suite}.json"
    path.write_text(json.dumps(results.document(suite), indent=1) + "\n")
    print(f"written to {path}")


def commit() -> str:
    """The commit that is measured, with `-dirty` for a changed working tree; empty outside a repository."""
    command = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def machine() -> dict[str, str | int | float]:
    """What the figures depend on."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(pages / 2**30, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def _rounded(groups: Groups) -> Groups:
    """Four significant digits: more would be noise."""
    return {
        group: {name: float(f"{value:.4g}") for name, value in values.items()}
        for group, values in groups.items()
    }

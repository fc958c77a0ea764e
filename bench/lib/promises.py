"""Compares the newest results with the bounds in bench/promises.toml: `make bench-check`.

Prints a line for each promise; the exit status is 1 if one is broken. A promise without a result is reported
and is no failure, unless `--complete` is given.
"""

import argparse
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.lib.results import RESULTS, ROOT

PROMISES = ROOT / "bench" / "promises.toml"

KEPT, BROKEN, MISSING = "kept", "BROKEN", "no result"


@dataclass(frozen=True, slots=True)
class Promise:
    """A bound of docs/performance.md on one figure of a suite's result."""

    suite: str
    path: tuple[str, ...]
    sentence: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def bound(self) -> float:
        """The number of the bound. Raises ValueError unless there is exactly one."""
        (bound,) = (bound for bound in (self.at_least, self.at_most) if bound is not None)
        return bound

    def is_kept(self, value: float) -> bool:
        """Whether the figure is within the bound."""
        return value >= self.bound if self.at_least is not None else value <= self.bound

    def __str__(self) -> str:
        relation = "at least" if self.at_least is not None else "at most"
        return f"{self.suite}: {' / '.join(self.path)} {relation} {self.bound:g}"


def promises(path: Path = PROMISES) -> list[Promise]:
    """All promises of the file."""
    entries = tomllib.loads(path.read_text())["promise"]
    return [Promise(**{**entry, "path": tuple(entry["path"])}) for entry in entries]


def figure(promise: Promise, folder: Path) -> tuple[float, str] | None:
    """The promised figure in the suite's newest result, and when it was measured; None without one."""
    try:
        result = json.loads((folder / f"{promise.suite}.json").read_text())
        value: Any = result
        for key in promise.path:
            value = value[key]
    except (FileNotFoundError, KeyError):
        return None
    commit, dirty, _ = result["commit"].partition("-")
    return float(value), f"{result['date']}, commit {commit[:12]}{dirty and '-dirty'}"


def check(checked: list[Promise], folder: Path = RESULTS) -> list[str]:
    """Print the state of each promise; the states."""
    states = []
    for promise in checked:
        found = figure(promise, folder)
        state = MISSING if found is None else KEPT if promise.is_kept(found[0]) else BROKEN
        states.append(state)
        measured = (
            f"run python -m bench.suites.{promise.suite}" if found is None else f"{found[0]:g} ({found[1]})"
        )
        print(f"{state:9}  {promise}: {measured}")
        if state == BROKEN:
            print(f'           docs/performance.md: "{promise.sentence}"')
    return states


def main() -> int:
    """Check all promises; the exit status."""
    parser = argparse.ArgumentParser(description="Compare the newest results with bench/promises.toml.")
    parser.add_argument("--complete", action="store_true", help="fail for a missing result, too")
    parsed = parser.parse_args()
    states = check(promises())
    print(", ".join(f"{states.count(state)} {state}" for state in (KEPT, BROKEN, MISSING)))
    return int(BROKEN in states or (parsed.complete and MISSING in states))


if __name__ == "__main__":
    raise SystemExit(main())

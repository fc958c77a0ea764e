"""Compares the newest results with the bounds in bench/thresholds.toml: `make bench-check`.

Prints a line for each threshold; the exit status is 1 if one is not met. A threshold without a result is
reported and is no failure, unless `--complete` is given.
"""

import argparse
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.lib.results import RESULTS, ROOT

THRESHOLDS = ROOT / "bench" / "thresholds.toml"

MET, NOT_MET, MISSING = "met", "NOT MET", "no result"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A bound of docs/performance.md for one figure of a suite's result."""

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

    def is_met(self, value: float) -> bool:
        """Whether the figure is within the bound."""
        return value >= self.bound if self.at_least is not None else value <= self.bound

    def __str__(self) -> str:
        relation = "at least" if self.at_least is not None else "at most"
        return f"{self.suite}: {' / '.join(self.path)} {relation} {self.bound:g}"


def thresholds(path: Path = THRESHOLDS) -> list[Threshold]:
    """All thresholds of the file."""
    entries = tomllib.loads(path.read_text())["threshold"]
    return [Threshold(**{**entry, "path": tuple(entry["path"])}) for entry in entries]


def figure(threshold: Threshold, folder: Path) -> tuple[float, str] | None:
    """The figure in the suite's newest result, and when it was measured; None without one."""
    try:
        result = json.loads((folder / f"{threshold.suite}.json").read_text())
        value: Any = result
        for key in threshold.path:
            value = value[key]
    except (FileNotFoundError, KeyError):
        return None
    commit, dirty, _ = result["commit"].partition("-")
    return float(value), f"{result['date']}, commit {commit[:12]}{dirty and '-dirty'}"


def check(checked: list[Threshold], folder: Path = RESULTS) -> list[str]:
    """Print the state of each threshold; the states."""
    states = []
    for threshold in checked:
        measured_figure = figure(threshold, folder)
        state = (
            MISSING if measured_figure is None else MET if threshold.is_met(measured_figure[0]) else NOT_MET
        )
        states.append(state)
        measured = (
            f"run python -m bench.suites.{threshold.suite}"
            if measured_figure is None
            else f"{measured_figure[0]:g} ({measured_figure[1]})"
        )
        print(f"{state:9}  {threshold}: {measured}")
        if state == NOT_MET:
            print(f'           docs/performance.md: "{threshold.sentence}"')
    return states


def main() -> int:
    """Check all thresholds; the exit status."""
    parser = argparse.ArgumentParser(description="Compare the newest results with bench/thresholds.toml.")
    parser.add_argument("--complete", action="store_true", help="fail for a missing result, too")
    parsed = parser.parse_args()
    states = check(thresholds())
    print(", ".join(f"{states.count(state)} {state}" for state in (MET, NOT_MET, MISSING)))
    return int(NOT_MET in states or (parsed.complete and MISSING in states))


if __name__ == "__main__":
    raise SystemExit(main())

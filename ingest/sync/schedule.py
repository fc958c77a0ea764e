"""Intervals of full scans and of polling."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScanSchedule:
    """`reconcile_s`: between two full scans. `poll_s`: between two scans of what has no watch, in seconds.

    `polled_file_systems`: types of file systems without events, as other hosts write to them.
    """

    reconcile_s: float
    poll_s: float
    polled_file_systems: frozenset[str]

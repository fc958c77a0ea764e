"""Intervals of full scans and of polling."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ScanSchedule:
    """`reconcile_s`: between two full scans. `poll_s`: between two polls of unwatched folders. In seconds.

    `polled_file_systems`: types without inotify events for the writes of other hosts, such as `nfs4`.
    """

    reconcile_s: float
    poll_s: float
    polled_file_systems: frozenset[str]

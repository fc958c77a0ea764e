"""Files that were written a moment ago, as a scan finds them: perhaps they still are being written.

Whoever follows events knows when a file is quiet. A scan finds files that no event told of,
before the daemon began or where nothing is watched, so it looks at the fresh ones twice.
"""

import asyncio
import time
from collections.abc import Sequence

from ingest.reconcile import Arrival
from ingest.settle import Settling
from ingest.walk import facts_at
from tagify.threads import Threads

HELD = 5000
"""Fresh files that are held; when there are more, these are looked at again before the scan goes on."""


class Fresh:
    """The fresh files of one scan: `sift` what was found; `settled` at the end, and whenever it is `full`."""

    def __init__(self, root: str, settling: Settling, threads: Threads, *, followed: bool) -> None:
        """`followed`: events told of the place, and will tell of every change to come; none is held."""
        self._root = root
        self._settling = settling
        self._threads = threads
        self._settle_s = 0.0 if followed else settling.settle_s
        self._held: list[Arrival] = []

    @property
    def full(self) -> bool:
        """Whether as many are held as may be."""
        return len(self._held) >= HELD

    def sift(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Those that are quiet. The fresh ones are held; what events are heard of is left to them."""
        quiet: list[Arrival] = []
        newest = time.time_ns() - int(self._settle_s * 1e9)
        for arrival in arrivals:
            if self._settling.waits_for(arrival.file.path):
                continue
            (self._held if arrival.file.mtime_ns > newest else quiet).append(arrival)
        return quiet

    async def settled(self) -> list[Arrival]:
        """Those that did not change for the settle time; the others are left to events or the next scan."""
        held, self._held = self._held, []
        if not held:
            return []
        await asyncio.sleep(self._settle_s)
        return await self._threads.run(lambda: [each for each in held if self._is_as_it_was(each)])

    def _is_as_it_was(self, arrival: Arrival) -> bool:
        return facts_at(self._root, arrival.file.path) == arrival.file

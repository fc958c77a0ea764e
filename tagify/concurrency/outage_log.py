"""One log line when a server becomes unavailable, and one when it is back."""

import logging
import time
from collections.abc import Callable

from tagify.logs import fields

logger = logging.getLogger(__name__)

SETTLE_S = 1.0
"""A server is back with the first success that is this much later than its last failure, in seconds: a
server whose calls fail intermittently gives at most two lines in this time."""


class OutageLog:
    """The state of one server, from the outcomes of calls to it; for several threads."""

    def __init__(
        self, server: str, *, settle_s: float = SETTLE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`settle_s` is 0 where the outcomes are state changes, each reported once."""
        self._server = server
        self._settle_s = settle_s
        self._clock = clock
        self._since: float | None = None
        self._failed_at = 0.0

    def failed(self, reason: object) -> None:
        """A call failed because of the server."""
        self._failed_at = self._clock()
        if self._since is None:
            self._since = self._failed_at
            logger.warning(
                "server unavailable: %s: %s", self._server, reason, extra=fields(server=self._server)
            )

    def succeeded(self) -> None:
        """The server has answered."""
        if self._since is None:
            return
        now = self._clock()
        if now - self._failed_at >= self._settle_s:
            seconds, self._since = round(now - self._since, 1), None
            logger.info(
                "server is back: %s", self._server, extra=fields(server=self._server, seconds=seconds)
            )

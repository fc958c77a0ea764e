"""Feeds systemd's watchdog from the event loop, so that a loop that is stuck is not fed for."""

import asyncio

from tagify.runtime.sd_notify import Notifier

BEATS = 3
"""Beats in one period: two may come late, or be lost, before systemd acts."""


async def feed(notifier: Notifier, period_s: float | None) -> None:
    """Until cancelled; without a period nobody wants to hear of it."""
    while period_s is not None:
        notifier.alive()
        await asyncio.sleep(period_s / BEATS)

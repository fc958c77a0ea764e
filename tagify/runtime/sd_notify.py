"""systemd notifications (sd_notify(3)) and watchdog pings; no-ops outside systemd."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Self

PINGS_PER_PERIOD = 3
"""Watchdog pings in one watchdog period: two may be late or lost before systemd acts."""


class SystemdNotifier:
    """Sends states to the notification socket of systemd."""

    def __init__(self, address: str = "") -> None:
        """`address`: path of the socket, or `@` and a name in the abstract namespace; empty for no-op."""
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._ready = False

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """A notifier for the socket in `NOTIFY_SOCKET`."""
        return cls(environ.get("NOTIFY_SOCKET", ""))

    def not_ready(self, reason: str, extend_s: float) -> None:
        """Report why the service is not ready, and extend the start timeout to `extend_s` from now."""
        self._send(f"STATUS={_one_line(reason)}", f"EXTEND_TIMEOUT_USEC={extend_s * 1e6:.0f}")

    def ready(self) -> None:
        """Report that all dependencies respond."""
        self._ready = True
        self._send("READY=1", "STATUS=ready")

    def reloading(self) -> None:
        """Report that a reload has started; `reloaded` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Report the end of a reload, if the service was ready before."""
        if self._ready:
            self.ready()

    def stopping(self) -> None:
        """Report that the service is shutting down."""
        self._send("STOPPING=1", "STATUS=finishing requests")

    def watchdog(self) -> None:
        """Send one watchdog ping."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # Notifications are best effort: a failure to send one must not stop the service.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), self._address)


def watchdog_period_s(environ: Mapping[str, str]) -> float | None:
    """The watchdog period for this process, in seconds; None without a watchdog."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None


def _one_line(text: str) -> str:
    return " ".join(text.split())


async def ping_watchdog(notifier: SystemdNotifier, period_s: float | None) -> None:
    """Ping the watchdog until cancelled; returns at once without a period."""
    while period_s is not None:
        notifier.watchdog()
        await asyncio.sleep(period_s / PINGS_PER_PERIOD)

"""What a service tells systemd of itself (sd_notify(3)); where nobody listens it tells nobody."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Mapping
from typing import Self

BEATS = 3
"""Watchdog pings in one period: two may come late, or be lost, before systemd acts."""


class Notifier:
    """Sends states to the socket that systemd named."""

    def __init__(self, address: str = "") -> None:
        """`address`: a socket's path, `@` first for the abstract name space; empty for none."""
        self._address = address.replace("@", "\0", 1) if address.startswith("@") else address
        self._ready = False

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Self:
        """The one that this environment asks for."""
        return cls(environ.get("NOTIFY_SOCKET", ""))

    def waiting(self, reason: str, longer_s: float) -> None:
        """Not ready yet, for this reason; the start may take so many seconds more from now."""
        self._send(f"STATUS={_line(reason)}", f"EXTEND_TIMEOUT_USEC={longer_s * 1e6:.0f}")

    def ready(self) -> None:
        """Everything that this service needs answers."""
        self._ready = True
        self._send("READY=1", "STATUS=ready")

    def reloading(self) -> None:
        """Settings are being read again, until `reloaded`."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """Back to what it was: ready, or not yet."""
        if self._ready:
            self.ready()

    def stopping(self) -> None:
        """No new connection is taken from now on."""
        self._send("STOPPING=1", "STATUS=finishing requests")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        # A note that cannot be delivered changes nothing in the work that it is about.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.setblocking(False)
            speaker.sendto("\n".join(lines).encode(), self._address)


def watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear from this very process, in seconds; None where it does not."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isdigit() and int(microseconds) else None


def _line(text: str) -> str:
    return " ".join(text.split())


async def feed(notifier: Notifier, period_s: float | None) -> None:
    """Until cancelled; without a period nobody wants to hear of it."""
    while period_s is not None:
        notifier.alive()
        await asyncio.sleep(period_s / BEATS)

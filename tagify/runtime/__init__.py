"""Running a service: settings, logs, event loop, sockets, signals, systemd and graceful shutdown."""

from tagify.runtime.service import run, serve
from tagify.runtime.sockets import Address, AddressTaken

__all__ = ["Address", "AddressTaken", "run", "serve"]

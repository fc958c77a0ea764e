"""How a service runs: settings, logs, the loop, sockets, signals, systemd, and an end that is tidy."""

from tagify.runtime.service import run, serve
from tagify.runtime.sockets import Address, AddressTaken

__all__ = ["Address", "AddressTaken", "run", "serve"]

"""Free ports for the servers of tests, claimed among concurrent test processes."""

import errno
import os
import random
import socket
from collections import deque

from tagify.servers.ports import FIRST_PORT, is_port_free

LOWEST_PORT = 10_000
"""Start of the range searched; it ends where `find_free_port` starts."""

BLOCK_LENGTH = 10
"""Ports are allocated in blocks of this length, the most that a server needs."""

MAX_CLAIMS = 30
"""Number of blocks that stay claimed; the servers on older blocks listen by then."""

_claims: deque[int] = deque()


def free_ports() -> int:
    """Return the first of a block of free ports that no other test has claimed.

    A port looks free until its server listens, which may take a second. Until then it is claimed
    among all processes of this machine.
    """
    while True:
        first = random.randrange(LOWEST_PORT, FIRST_PORT, BLOCK_LENGTH)
        if all(is_port_free(first + offset) for offset in range(BLOCK_LENGTH)) and _claim(first):
            return first


def _claim(first: int) -> bool:
    """Try to claim the block for this process.

    A claim is an abstract Unix socket: its name is exclusive, and free again when the process exits.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as claim:
        try:
            claim.bind(f"\0tagify-test-ports-{first}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        _claims.append(claim.detach())
    while len(_claims) > MAX_CLAIMS:
        os.close(_claims.popleft())
    return True

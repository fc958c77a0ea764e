"""Free ports for the servers of tests, which several processes look for at the same time."""

import errno
import os
import random
import socket
from collections import deque

from tagify.servers.ports import FIRST_PORT, is_port_free

LOWEST_PORT = 10_000
"""Searched from here to where programs begin to look for ports by themselves."""

BLOCK_LENGTH = 10
"""Ports are given out in blocks of this length, the longest that a server needs."""

MAX_CLAIMS = 30
"""Blocks that stay claimed: once so many more were given out, the servers on the first ones listen."""

_claims: deque[int] = deque()


def free_ports() -> int:
    """The first of a block of ports that nobody listens on, and that no other test was just given.

    A port looks free until its server listens, which for some takes a second. Until then it is
    claimed, among all processes of this machine.
    """
    while True:
        first = random.randrange(LOWEST_PORT, FIRST_PORT, BLOCK_LENGTH)
        if all(is_port_free(first + offset) for offset in range(BLOCK_LENGTH)) and _claim(first):
            return first


def _claim(first: int) -> bool:
    """Whether the block is this process's from now on.

    A claim is a Unix socket without a file: its name is one socket's at a time, and free when that ends.
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

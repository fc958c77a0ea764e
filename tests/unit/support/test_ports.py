"""Ports of tests: a block that was given out is given to nobody else while its server comes up."""

import random
import subprocess
import sys

import pytest

from tagify.servers.ports import FIRST_PORT
from tests.support import ports

OTHER = (
    f"from tests.support.ports import free_ports; print(*(free_ports() for _ in range({ports.MAX_CLAIMS}))); "
    "import sys; sys.stdout.flush(); input()"
)


def test_no_block_is_given_to_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = [int(word) for word in other.stdout.readline().split()]
        spare = range(ports.LOWEST_PORT, FIRST_PORT, ports.BLOCK_LENGTH)
        looked_at = iter([*theirs, *(first for first in spare if first not in theirs)])
        # Sent to where the other one looked: nobody listens there, so it is the claims that keep them apart.
        monkeypatch.setattr(random, "randrange", lambda *_: next(looked_at))
        ours = {ports.free_ports() for _ in range(ports.MAX_CLAIMS)}
        other.communicate("\n")
    assert len(theirs) == len(ours) == ports.MAX_CLAIMS
    assert not ours & set(theirs)

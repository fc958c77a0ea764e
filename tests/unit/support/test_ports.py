"""Ports of tests: a claimed block is not given to another process while its server starts."""

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


def test_processes_get_different_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        theirs = [int(port) for port in other.stdout.readline().split()]
        spare = range(ports.LOWEST_PORT, FIRST_PORT, ports.BLOCK_LENGTH)
        candidates = iter([*theirs, *(first for first in spare if first not in theirs)])
        # Try the other process's ports first: no server listens there, so only the claims exclude them.
        monkeypatch.setattr(random, "randrange", lambda *_: next(candidates))
        ours = {ports.free_ports() for _ in range(ports.MAX_CLAIMS)}
        other.communicate("\n")
    assert len(theirs) == len(ours) == ports.MAX_CLAIMS
    assert not ours & set(theirs)

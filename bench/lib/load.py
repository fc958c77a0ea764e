"""Load on a server, and what it costs there."""

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from tagify.concurrency.tasks import cancel_and_wait

WATCH_S = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests a second, CPU of the server for each in milliseconds, bytes of one answer."""

    rps: float
    cpu_ms: float
    size: int


def tree(pid: int) -> set[int]:
    """The process and all that come from it."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(place.parent.name)] = int(place.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_s(pid: int) -> float:
    """CPU that a process, its children and those it has buried have taken, in seconds."""
    total = 0
    for one in tree(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15] if one == pid else fields[11:13]))
    return total / TICKS


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and all that come from it."""
    rollups = (Path(f"/proc/{one}/smaps_rollup").read_text() for one in tree(pid))
    return sum(int(text.split("Pss:")[1].split()[0]) for text in rollups) / 1024


@asynccontextmanager
async def peak_mb(pid: int) -> AsyncIterator[list[float]]:
    """The most memory that is seen while the block runs: one number, in a list."""
    peak = [0.0]

    async def watch() -> None:
        while True:
            with suppress(OSError):
                peak[0] = max(peak[0], memory_mb(pid))
            await asyncio.sleep(WATCH_S)

    watching = asyncio.create_task(watch())
    try:
        yield peak
    finally:
        await cancel_and_wait(watching)


async def each_once(pid: int, urls: Sequence[str], at_once: int) -> Cost:
    """All URLs, each once."""
    waiting, sizes = list(reversed(urls)), [0]

    async def client(session: aiohttp.ClientSession) -> None:
        while waiting:
            async with session.get(waiting.pop()) as response:
                body = await response.read()
                assert response.status == 200, (str(response.url), response.status, body[:200])
                sizes.append(len(body))

    before, start = cpu_s(pid), time.monotonic()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(at_once)))
    seconds = time.monotonic() - start
    cpu = cpu_s(pid) - before
    return Cost(len(urls) / seconds, cpu / len(urls) * 1000, sum(sizes) // len(urls))


async def again_and_again(
    pid: int, urls: Sequence[str], script: Path, seconds: int, *, headers: Sequence[str] = ()
) -> Cost:
    """wrk with 16 connections, the URLs in turns."""
    base = "/".join(urls[0].split("/")[:3])
    paths = ", ".join(f'"{url.removeprefix(base)}"' for url in urls)
    script.write_text(
        f"local paths, n = {{{paths}}}, 0\n"
        "request = function() n = n % #paths + 1; return wrk.format(nil, paths[n]) end\n"
    )
    before = cpu_s(pid)
    process = await asyncio.create_subprocess_exec(
        "wrk", "-t1", "-c16", f"-d{seconds}s", "-s", str(script),
        *(word for header in headers for word in ("-H", header)), base,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate()
    text = out.decode()
    cpu = cpu_s(pid) - before
    assert "Non-2xx" not in text, text
    number = int(re.findall(r"(\d+) requests in", text)[0])
    return Cost(number / seconds, cpu / max(1, number) * 1000, 0)

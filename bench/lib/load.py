"""HTTP load on a server, and the CPU and memory that the server uses for it."""

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

SAMPLE_S = 0.2
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """Requests per second, CPU of the server per request in ms, and mean size of a response in bytes."""

    rps: float
    cpu_ms: float
    size: int


def process_tree(pid: int) -> set[int]:
    """The process and its descendants."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    tree = {pid}
    while more := {child for child, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return tree


def cpu_s(pid: int) -> float:
    """CPU time of a process, its descendants and its reaped children, in seconds."""
    total = 0
    for member in process_tree(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += sum(map(int, fields[11:15] if member == pid else fields[11:13]))
    return total / TICKS


def memory_mb(pid: int) -> float:
    """Proportional set size of a process and its descendants."""
    rollups = (Path(f"/proc/{member}/smaps_rollup").read_text() for member in process_tree(pid))
    return sum(int(text.split("Pss:")[1].split()[0]) for text in rollups) / 1024


@asynccontextmanager
async def peak_mb(pid: int) -> AsyncIterator[list[float]]:
    """Peak memory while the block runs, sampled every SAMPLE_S: one number, in a list."""
    peak = [0.0]

    async def sample() -> None:
        while True:
            with suppress(OSError):
                peak[0] = max(peak[0], memory_mb(pid))
            await asyncio.sleep(SAMPLE_S)

    sampling = asyncio.create_task(sample())
    try:
        yield peak
    finally:
        await cancel_and_wait(sampling)


async def request_each_once(pid: int, urls: Sequence[str], clients: int) -> Cost:
    """Request each URL once, with so many concurrent clients."""
    pending, sizes = list(reversed(urls)), [0]

    async def client(session: aiohttp.ClientSession) -> None:
        while pending:
            async with session.get(pending.pop()) as response:
                body = await response.read()
                assert response.status == 200, (str(response.url), response.status, body[:200])
                sizes.append(len(body))

    before, start = cpu_s(pid), time.monotonic()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    seconds = time.monotonic() - start
    cpu = cpu_s(pid) - before
    return Cost(len(urls) / seconds, cpu / len(urls) * 1000, sum(sizes) // len(urls))


async def request_repeatedly(
    pid: int, urls: Sequence[str], script: Path, seconds: int, *, headers: Sequence[str] = ()
) -> Cost:
    """Request the URLs round-robin, with wrk and 16 connections."""
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
    output, _ = await process.communicate()
    text = output.decode()
    cpu = cpu_s(pid) - before
    assert "Non-2xx" not in text, text
    number = int(re.findall(r"(\d+) requests in", text)[0])
    return Cost(number / seconds, cpu / max(1, number) * 1000, 0)

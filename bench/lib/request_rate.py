"""HTTP load: as many requests as a server answers (wrk), or a constant rate from a separate process."""

import asyncio
import itertools
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

CONNECTIONS = 16


@dataclass(frozen=True, slots=True)
class Throughput:
    """Responses of a load test, and responses per second."""

    responses: int
    rate: float


async def full_load(urls: Sequence[str], *, seconds: int = 4, connections: int = 32) -> Throughput:
    """Throughput with wrk: so many connections request the URLs of one server round-robin.

    Raises AssertionError if a request fails.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(round_robin_script(urls))
        script.flush()
        process = await asyncio.create_subprocess_exec(
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"),
            *("-s", script.name, urls[0]),
            stdout=asyncio.subprocess.PIPE,
        )
        output = (await process.communicate())[0].decode()
    assert "Non-2xx" not in output, output
    assert "Socket errors" not in output, output
    responses = int(re.findall(r"(\d+) requests in", output)[0])
    assert responses, f"no response from {urls[0]} within {seconds} s"
    return Throughput(responses, float(re.findall(r"Requests/sec:\s+([\d.]+)", output)[0]))


def round_robin_script(urls: Sequence[str]) -> str:
    """A script for wrk that requests the URLs of one server round-robin; each request is formatted once."""
    paths = ", ".join(f'"{urlsplit(url)._replace(scheme="", netloc="").geturl()}"' for url in urls)
    return (
        f"local paths, requests, n = {{{paths}}}, {{}}, 0\n"
        "init = function() for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end end\n"
        "request = function() n = n % #requests + 1; return requests[n] end\n"
    )


async def single_client(urls: Sequence[str], *, seconds: int = 4) -> Throughput:
    """Throughput of one client that requests one URL sequentially; at least one response, however slow."""
    (url,) = urls
    start, responses = time.perf_counter(), 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(120), raise_for_status=True) as session:
        while not responses or time.perf_counter() - start < seconds:
            async with session.get(url) as response:
                await response.read()
            responses += 1
    return Throughput(responses, responses / (time.perf_counter() - start))


async def constant_rate(urls: Sequence[str], rate: int, seconds: int) -> tuple[float, float]:
    """Median and 95th percentile of the response times in ms, at `rate` requests per second."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.lib.request_rate", str(rate), str(seconds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output = (await process.communicate("\n".join(urls).encode()))[0].decode()
    median, p95 = output.split()
    return float(median), float(p95)


async def _measure(urls: Sequence[str], rate: int, seconds: int) -> list[float]:
    """Response times from the moment each request was due, so that a slow response counts for later ones."""
    scheduled = itertools.islice(itertools.cycle(urls), rate * seconds)
    due = ((number / rate, url) for number, url in enumerate(scheduled))
    times: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(_client(due, start, times) for _ in range(CONNECTIONS)))
    return times


async def _client(due: Iterator[tuple[float, str]], start: float, times: list[float]) -> None:
    reader = writer = None
    for due_s, url in due:
        parts = urlsplit(url)
        if writer is None or reader is None:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.sleep(max(0.0, start + due_s - time.perf_counter()))
        writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length, head
        await reader.readexactly(int(length[1]))
        times.append(time.perf_counter() - start - due_s)
    if writer is not None:
        writer.close()


def main() -> None:
    """Print median and 95th percentile for the URLs on standard input."""
    rate, seconds = map(int, sys.argv[1:3])
    times = asyncio.run(_measure(sys.stdin.read().split(), rate, seconds))
    print(statistics.median(times) * 1000, statistics.quantiles(times, n=20)[-1] * 1000)


if __name__ == "__main__":
    main()

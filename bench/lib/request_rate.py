"""Load on a URL: as much as it bears (wrk), or at a steady rate, from a process of its own."""

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
class Borne:
    """What a server bore: answers, and how many of them a second."""

    answers: int
    rate: float


async def full(urls: Sequence[str], *, seconds: int = 4, connections: int = 32) -> Borne:
    """What is borne when so many connections ask again and again, for the URLs in turns.

    The URLs are of one server. Fails where any answer did.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(in_turns(urls))
        script.flush()
        process = await asyncio.create_subprocess_exec(
            *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "60s"),
            *("-s", script.name, urls[0]),
            stdout=asyncio.subprocess.PIPE,
        )
        said = (await process.communicate())[0].decode()
    assert "Non-2xx" not in said, said
    assert "Socket errors" not in said, said
    answers = int(re.findall(r"(\d+) requests in", said)[0])
    assert answers, f"no answer of {urls[0]} within {seconds} s"
    return Borne(answers, float(re.findall(r"Requests/sec:\s+([\d.]+)", said)[0]))


def in_turns(urls: Sequence[str]) -> str:
    """A script for wrk that asks for the URLs of one server in turns; each request is made once."""
    paths = ", ".join(f'"{urlsplit(url)._replace(scheme="", netloc="").geturl()}"' for url in urls)
    return (
        f"local paths, requests, n = {{{paths}}}, {{}}, 0\n"
        "init = function() for i, path in ipairs(paths) do requests[i] = wrk.format(nil, path) end end\n"
        "request = function() n = n % #requests + 1; return requests[n] end\n"
    )


async def alone(urls: Sequence[str], *, seconds: int = 4) -> Borne:
    """What is borne of one client that waits for each answer, however long: it gets one at least."""
    (url,) = urls
    start, answers = time.perf_counter(), 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(120), raise_for_status=True) as session:
        while not answers or time.perf_counter() - start < seconds:
            async with session.get(url) as response:
                await response.read()
            answers += 1
    return Borne(answers, answers / (time.perf_counter() - start))


async def steady(urls: Sequence[str], rate: int, seconds: int) -> tuple[float, float]:
    """Median and 95th percentile of the times to answer, in ms, at so many requests a second."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.lib.request_rate", str(rate), str(seconds)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate("\n".join(urls).encode()))[0].decode()
    half, most = said.split()
    return float(half), float(most)


async def _measure(urls: Sequence[str], rate: int, seconds: int) -> list[float]:
    """The times, each from the moment that the request was due: a slow answer delays no clock."""
    asked = itertools.islice(itertools.cycle(urls), rate * seconds)
    due = ((number / rate, url) for number, url in enumerate(asked))
    times: list[float] = []
    start = time.perf_counter()
    await asyncio.gather(*(_client(due, start, times) for _ in range(CONNECTIONS)))
    return times


async def _client(due: Iterator[tuple[float, str]], start: float, times: list[float]) -> None:
    reader = writer = None
    for moment, url in due:
        parts = urlsplit(url)
        if writer is None or reader is None:
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        await asyncio.sleep(max(0.0, start + moment - time.perf_counter()))
        writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = re.search(rb"(?i)content-length: (\d+)", head)
        assert length, head
        await reader.readexactly(int(length[1]))
        times.append(time.perf_counter() - start - moment)
    if writer is not None:
        writer.close()


def main() -> None:
    """Print median and 95th percentile for the URLs of standard input."""
    rate, seconds = map(int, sys.argv[1:3])
    times = asyncio.run(_measure(sys.stdin.read().split(), rate, seconds))
    print(statistics.median(times) * 1000, statistics.quantiles(times, n=20)[-1] * 1000)


if __name__ == "__main__":
    main()

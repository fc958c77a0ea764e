"""The command `tagify up`: start the stack, register the library, run until Ctrl-C."""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.sample import make_sample
from tagify.servers.ports import bind_error, resolve
from tagify.settings import IngestSettings, load
from tagify.terminal import Terminal
from tagify.up.data_dir import OTHER_DATA_DIR, DataDir
from tagify.up.disk_watch import DiskWatch
from tagify.up.first_scan import register_library, wait_for_first_scan
from tagify.up.stack import Stack, UpOptions, build_stack
from tagify.up.supervisor import ProcessSupervisor

STOP_TIMEOUT_S = 9.0
"""Children that have not exited after this time are killed."""


class UpError(TagifyError):
    """An option of `tagify up` cannot be used; the message says which one to change."""


def up(options: UpOptions) -> int:
    """Run the stack until SIGINT or SIGTERM; returns the exit status. Raises TagifyError."""
    terminal = Terminal()
    _check_addresses(options)
    data_dir = DataDir(options.data_dir)
    data_dir.lock()
    library = _resolve_library(options, data_dir, terminal)
    if others_reach(options.hosts):
        terminal.print_line(
            "  ! Tagify has no sign-in: everybody who reaches this address may see and change everything"
        )
    stack = build_stack(options, data_dir, _library_roots(data_dir, library))
    return asyncio.run(_run(stack, library, data_dir, terminal))


def _check_addresses(options: UpOptions) -> None:
    """Check that the page can listen on every host. Raises UpError."""
    for host in options.hosts:
        if reason := bind_error(host, options.port):
            option = "--port (make up: PORT=NUMBER)" if reason.startswith("port ") else "--host"
            raise UpError(f"{reason}: choose another with {option}")


def others_reach(hosts: Sequence[str]) -> bool:
    """Whether one of these hosts has an address that is not loopback."""
    return not all(ip_address(address).is_loopback for host in hosts for address in resolve(host))


def _resolve_library(options: UpOptions, data_dir: DataDir, terminal: Terminal) -> Path:
    """Return the folder to watch: `--library`, else a generated sample. Raises UpError."""
    if options.library is None:
        sample = data_dir.subdirectory("sample-library")
        with terminal.step("making a sample library"):
            make_sample(sample, progress=lambda done, total: terminal.progress_bar("drawing", done, total))
        return Path(os.path.realpath(sample))
    library = Path(os.path.realpath(options.library.expanduser()))
    if not library.is_dir():
        raise UpError(
            f"{options.library} is not a folder: "
            "name an existing one with --library (make up: LIBRARY=FOLDER)"
        )
    data = Path(os.path.realpath(data_dir.path))
    if library.is_relative_to(data) and library != data / "sample-library":
        raise UpError(f"{library} is in the data folder {data_dir.path}: {OTHER_DATA_DIR}")
    return library


def _library_roots(data_dir: DataDir, library: Path) -> tuple[Path, ...]:
    """Return the allowed library roots, those of earlier runs included; saves them for the next run."""
    roots_file = data_dir.path / "roots.json"
    try:
        previous = [Path(text) for text in json.loads(roots_file.read_text())]
    except (FileNotFoundError, ValueError):
        previous = []
    roots = list(dict.fromkeys([*previous, library]))
    roots_file.write_text(json.dumps([str(root) for root in roots]))
    return tuple(roots)


async def _run(stack: Stack, library: Path, data_dir: DataDir, terminal: Terminal) -> int:
    min_free_mb = load(IngestSettings).ingest_min_free_mb
    disk = DiskWatch(data_dir.path, min_free_mb, terminal.print_line)
    supervisor = ProcessSupervisor(terminal.print_line, disk)
    stop = _stop_on_signals(supervisor)
    start = asyncio.create_task(_start_stack(stack, library, data_dir, supervisor, terminal))
    failure = asyncio.create_task(supervisor.wait_for_failure())
    disk_task = asyncio.create_task(disk.run())
    try:
        done, _ = await asyncio.wait({start, failure, stop}, return_when=asyncio.FIRST_COMPLETED)
        if start in done:
            start.result()
            done, _ = await asyncio.wait({failure, stop}, return_when=asyncio.FIRST_COMPLETED)
        if failure in done:
            raise failure.result()
        return 0
    finally:
        await cancel_and_wait(start, failure, stop, disk_task)
        terminal.print_line("stopping")
        try:
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await supervisor.stop()
        except TimeoutError:
            supervisor.kill()


async def _start_stack(
    stack: Stack, library: Path, data_dir: DataDir, supervisor: ProcessSupervisor, terminal: Terminal
) -> None:
    if stack.servers:
        with terminal.step("starting " + " and ".join(program.name for program in stack.servers)):
            await supervisor.start(stack.servers)
    with terminal.step("starting ingest, api and edge"):
        await supervisor.start(stack.services)
    if stack.nginx is not None:
        with terminal.step("starting nginx"):
            await supervisor.start([stack.nginx])
    library_id = await register_library(stack.api_url, library)
    terminal.print_line(f"\n  Tagify is at {stack.url}\n  watching {library}")
    terminal.print_line(f"  data in {data_dir.path}; Ctrl-C stops\n")
    count = await wait_for_first_scan(stack.api_url, library_id, terminal)
    terminal.print_line(f"  ✓ {count:,} images are indexed; new files appear automatically")


def _stop_on_signals(supervisor: ProcessSupervisor) -> asyncio.Task[bool]:
    """Return a task that is done at the first SIGINT or SIGTERM; a second one kills the children."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if event.is_set():
            supervisor.kill()
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    return asyncio.create_task(event.wait())

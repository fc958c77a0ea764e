"""`tagify up` itself: from the command line to a page that stays until Ctrl-C."""

import asyncio
import json
import os
import signal
from pathlib import Path

from tagify.concurrency.tasks import cancel_and_wait
from tagify.errors import TagifyError
from tagify.sample import make_sample
from tagify.servers.ports import is_free
from tagify.terminal import Terminal
from tagify.up.data_dir import DataFolder
from tagify.up.first_scan import register, watch_first_scan
from tagify.up.stack import Plan, UpOptions, make_plan
from tagify.up.supervisor import Supervisor

STOP_S = 9.0
"""All children have ended after this time, with force where they must."""


class UpError(TagifyError):
    """`tagify up` cannot do what it was asked for."""


def up(wishes: UpOptions) -> int:
    """Run everything until SIGINT or SIGTERM; the exit status. Raises TagifyError."""
    terminal = Terminal()
    if not is_free(wishes.port, wishes.host):
        raise UpError(f"port {wishes.port} of {wishes.host} is taken: choose another with --port")
    folder = DataFolder(wishes.data_dir)
    folder.take()
    library = _library(wishes, folder, terminal)
    plan = make_plan(wishes, folder, _roots(folder, library))
    return asyncio.run(_run(plan, library, folder, terminal))


def _library(wishes: UpOptions, folder: DataFolder, terminal: Terminal) -> Path:
    """The folder to watch: the one that was named, else a sample made now."""
    if wishes.library is None:
        sample = folder.sub("sample-library")
        with terminal.step("making a sample library"):
            make_sample(sample, progress=lambda done, total: terminal.bar("drawing", done, total))
        return Path(os.path.realpath(sample))
    library = Path(os.path.realpath(wishes.library.expanduser()))
    if not library.is_dir():
        raise UpError(f"there is no folder {wishes.library}: name one that is there with --library")
    return library


def _roots(folder: DataFolder, library: Path) -> tuple[Path, ...]:
    """Where libraries may lie: this one, and those of earlier runs."""
    note = folder.path / "roots.json"
    try:
        known = [Path(text) for text in json.loads(note.read_text())]
    except (FileNotFoundError, ValueError):
        known = []
    roots = list(dict.fromkeys([*known, library]))
    note.write_text(json.dumps([str(root) for root in roots]))
    return tuple(roots)


async def _run(plan: Plan, library: Path, folder: DataFolder, terminal: Terminal) -> int:
    supervisor = Supervisor(terminal.say)
    stop = _stop_on_signals(supervisor)
    work = asyncio.create_task(_start(plan, library, folder, supervisor, terminal))
    failure = asyncio.create_task(supervisor.failure())
    try:
        done, _ = await asyncio.wait({work, failure, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work in done:
            work.result()
            done, _ = await asyncio.wait({failure, stop}, return_when=asyncio.FIRST_COMPLETED)
        if failure in done:
            raise failure.result()
        return 0
    finally:
        await cancel_and_wait(work, failure, stop)
        terminal.say("stopping")
        try:
            async with asyncio.timeout(STOP_S):
                await supervisor.stop()
        except TimeoutError:
            supervisor.kill()


async def _start(
    plan: Plan, library: Path, folder: DataFolder, supervisor: Supervisor, terminal: Terminal
) -> None:
    if plan.servers:
        with terminal.step("starting " + " and ".join(program.name for program in plan.servers)):
            await supervisor.start(plan.servers)
    with terminal.step("starting ingest, api and edge"):
        await supervisor.start(plan.services)
    if plan.front is not None:
        with terminal.step("starting nginx in front"):
            await supervisor.start([plan.front])
    library_id = await register(plan.api_url, library)
    terminal.say(f"\n  Tagify is at {plan.url}\n  watching {library}")
    terminal.say(f"  data in {folder.path}; Ctrl-C stops\n")
    count = await watch_first_scan(plan.api_url, library_id, terminal)
    terminal.say(f"  ✓ {count:,} images are indexed; new ones appear by themselves")


def _stop_on_signals(supervisor: Supervisor) -> asyncio.Task[bool]:
    """Done at the first signal; a second one ends the children at once."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if event.is_set():
            supervisor.kill()
        event.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, heard)
    return asyncio.create_task(event.wait())

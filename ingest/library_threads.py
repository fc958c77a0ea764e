"""Threads for the file system of one library. A file system that hangs takes these, and no others.

A dead NFS server or a hung FUSE mount blocks a system call for any time, and its thread with it. So every
library has threads of its own, and all of its folders and files are touched in them only. Root checks have a
deadline: when one does not return, all calls of the library that are awaited raise NotAnswering, and their
threads are left to themselves until the file system answers again.

The root may answer while one file does not, as on a failing disk. A read without progress ends with
ReadStalled after some deadlines; its thread is left to itself, and a bounded number of others go on.
"""

import asyncio
import errno
import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, ParamSpec, Protocol, TypeVar
from weakref import WeakValueDictionary

from tagify.concurrency.thread_pool import ThreadPool
from tagify.errors import TagifyError

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

LIST_THREADS, READ_THREADS = 4, 4
"""Threads of a library that list folders and stat files, and threads that read and hash files."""

STALL_DEADLINES = 3
"""A read stalls if it makes no progress for so many deadlines: 30 s, in which a disk can spin up."""

STALLED_LIMIT = 12
"""Stalled reads of a library, each of which keeps a thread. With this many, no file of it is read."""

CLOSE_S = 2.0
"""At the end of the process, running calls have this long, in seconds; then they are abandoned."""


class Closable(Protocol):
    """An open file."""

    def close(self) -> None:
        """Close it."""
        ...


class NotAnswering(TagifyError):
    """The file system of a library does not answer."""


class ReadStalled(OSError):
    """A read made no progress, although the root of the library answers."""


class _Read:
    """A read in progress. `run` is called in a thread."""

    def __init__(self, call: Callable[[], Any], on_end: Callable[["_Read"], None]) -> None:
        self._call = call
        self._on_end = on_end
        self.progressed_at = time.monotonic()
        self.has_ended = False

    @property
    def idle_s(self) -> float:
        """Seconds since its start or its last progress."""
        return time.monotonic() - self.progressed_at

    def run(self) -> Any:
        _current.read = self
        try:
            return self._call()
        finally:
            _current.read = None
            self.has_ended = True  # before `on_end`: the loop may be about to count it as stalled
            self._on_end(self)


_current = threading.local()


def report_progress() -> None:
    """Report the progress of a read. A call that reads a file in blocks calls this after each of them."""
    if (read := getattr(_current, "read", None)) is not None:
        read.progressed_at = time.monotonic()


class LibraryThreads:
    """The threads of the library at `root`."""

    def __init__(self, root: str, deadline_s: float) -> None:
        self._root = root
        self._loop = asyncio.get_running_loop()
        self._deadline_s = deadline_s
        self._lists = ThreadPool("list", LIST_THREADS)
        self._stall_s = STALL_DEADLINES * deadline_s
        self._reads = ThreadPool("read", READ_THREADS + STALLED_LIMIT)
        self._read_slots = asyncio.Semaphore(READ_THREADS)
        self._stalled: set[_Read] = set()
        self._next_check_at = 0.0
        self._watches = ThreadPool("watch", 1)
        self._probes = ThreadPool("root", 1)
        self._awaited: set[asyncio.Future[Any]] = set()
        self.is_answering = True
        """Whether the last root check returned in time."""

    async def run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that lists folders or stats files. Raises NotAnswering."""
        return await self._run(self._lists, partial(call, *args, **kwargs))

    async def read(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that reads a file. Raises ReadStalled, NotAnswering.

        `report_progress` prolongs the call. Not one of a library with STALLED_LIMIT stalled reads is made.
        """
        if len(self._stalled) >= STALLED_LIMIT:
            raise NotAnswering(f"{STALLED_LIMIT} reads in {self._root} hang; no further file is read")
        async with self._read_slots:
            read = _Read(partial(call, *args, **kwargs), self._end_read)
            return await self._run(self._reads, read.run, lambda: self._check_progress(read))

    def _check_progress(self, read: _Read) -> None:
        """Raises ReadStalled where there is no progress."""
        if read.has_ended or read.idle_s < self._stall_s:
            return
        self._stalled.add(read)
        if len(self._stalled) == STALLED_LIMIT:
            logger.warning("no further file is read: reads hang in %s", self._root)
        raise ReadStalled(errno.ETIMEDOUT, f"no byte of it arrived within {self._stall_s:g} s")

    def _end_read(self, read: _Read) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._stalled.discard, read)

    async def check(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """As `run`, within the deadline, for work of another library. Raises NotAnswering.

        At once for some deadlines after a check that did not return.
        """
        if self._loop.time() < self._next_check_at:
            raise self._error()
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self.run(call, *args, **kwargs)
        except TimeoutError:
            self._next_check_at = self._loop.time() + self._stall_s
            raise self._error() from None

    async def watch(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a call that adds or removes watches. Raises NotAnswering."""
        return await self._run(self._watches, partial(call, *args, **kwargs))

    async def _run(
        self, pool: ThreadPool, call: Callable[[], T], check: Callable[[], None] | None = None
    ) -> T:
        """Raises NotAnswering: at once if the last root check did not return, else when one does not.

        A call may take long, as the hash of a large file does; while it runs the root is checked, and then
        `check` is called, which may raise.
        """
        if not self.is_answering:
            raise self._error()
        future = pool.start(call)
        self._awaited.add(future)
        try:
            while not future.done():
                await asyncio.wait({future}, timeout=self._deadline_s)
                if not future.done():
                    await self.probe(_list_first, self._root)
                if check is not None and not future.done():
                    check()
            return future.result()
        finally:
            self._awaited.discard(future)
            if not future.cancel() and not future.cancelled():
                future.exception()  # marked as retrieved, or asyncio would log it

    async def probe(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of a root check. Raises NotAnswering at the deadline.

        One thread makes these calls, so that no number of reads delays them, and a check that hangs is not
        followed by others: they wait for its end.
        """
        try:
            async with asyncio.timeout(self._deadline_s):
                if not self.is_answering:
                    await self._probes.wait_until_idle()
                result = await self._probes.run(call, *args, **kwargs)
        except TimeoutError:
            self._abandon_calls()
            raise self._error() from None
        self.is_answering = True
        return result

    def blocking_read(self, call: Callable[[], T]) -> T:
        """The result of a call that reads a file, for a caller in another thread. Raises NotAnswering."""
        future = asyncio.run_coroutine_threadsafe(self.read(call), self._loop)
        return future.result()

    def close_later(self, *files: Closable | None) -> None:
        """Close files in a thread: at a file system that hangs, closing hangs too."""
        for file in files:
            if file is not None:
                self._reads.start(_close, file)

    async def close(self) -> None:
        """End the threads; calls that do not end in time are abandoned."""
        pools = (self._lists, self._reads, self._watches, self._probes)
        await asyncio.gather(*(pool.close(CLOSE_S) for pool in pools))

    def _abandon_calls(self) -> None:
        self.is_answering = False
        for future in tuple(self._awaited):
            if not future.done():
                future.set_exception(self._error())

    def _error(self) -> NotAnswering:
        return NotAnswering(
            f"the folder {self._root} does not answer within {self._deadline_s:g} s; nothing is deleted, and "
            "the library resumes when it answers"
        )


class LibraryThreadPools:
    """The threads of each library of the process, by its root."""

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._by_root: WeakValueDictionary[str, LibraryThreads] = WeakValueDictionary()

    def of(self, root: str) -> LibraryThreads:
        """The threads of the library at this root. They exist for as long as they are referenced."""
        if (threads := self._by_root.get(root)) is None:
            threads = self._by_root[root] = LibraryThreads(root, self._deadline_s)
        return threads

    async def close(self) -> None:
        """End all threads."""
        await asyncio.gather(*(threads.close() for threads in tuple(self._by_root.values())))


def _list_first(root: str) -> None:
    """Fails or returns at once where the file system answers."""
    with suppress(OSError), os.scandir(root) as entries:
        next(entries, None)


def _close(file: Closable) -> None:
    with suppress(OSError):
        file.close()

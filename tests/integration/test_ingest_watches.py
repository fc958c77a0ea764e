"""Folders created, renamed and deleted faster than they can be watched are all watched in the end."""

import asyncio
import os
import shutil
from pathlib import Path
from random import Random

import pytest

from ingest.library_threads import LibraryThreads
from ingest.paths import Exclusions
from ingest.watch import Watch, Watcher
from tests.support.waiting import until


def churn(root: Path, random: Random) -> None:
    """Hundreds of operations on folders, as fast as the disk allows."""
    for _ in range(300):
        folders = [Path(folder) for folder, _, _ in os.walk(root)]
        folder, choice = random.choice(folders), random.random()
        try:
            if choice < 0.5:
                (folder / random.choice("abc") / random.choice("abc")).mkdir(parents=True, exist_ok=True)
            elif folder != root:
                if choice < 0.75:
                    folder.rename(random.choice(folders) / random.choice("abc"))
                else:
                    shutil.rmtree(folder)
        except OSError:
            continue  # into itself, or onto one that is not empty


@pytest.mark.parametrize("seed", range(3))
async def test_folders_renamed_before_they_are_watched_are_watched_in_the_end(
    tmp_path: Path, seed: int
) -> None:
    threads = LibraryThreads(str(tmp_path), deadline_s=10)
    watcher = Watcher(threads)
    try:
        watch = Watch(str(tmp_path), Exclusions(()))
        await watcher.add_watch(watch)
        await asyncio.to_thread(churn, tmp_path, Random(seed))
        folders = [Path(folder) for folder, _, _ in os.walk(tmp_path)]
        reported: set[str] = set()

        async def has_all_events() -> bool:
            nonlocal watch
            await watcher.add_missing_watches()
            if not watcher.is_intact(watch):
                await watcher.remove_watch()
                watch = Watch(str(tmp_path), Exclusions(()))
                await watcher.add_watch(watch)
            for folder in folders:
                (folder / "a.jpg").write_bytes(b"")
            reported.update(event.path for event in watch.drain()[0])
            return reported >= {str((folder / "a.jpg").relative_to(tmp_path)) for folder in folders}

        await until(has_all_events, every_s=0.2)
    finally:
        await watcher.remove_watch()
        await threads.close()

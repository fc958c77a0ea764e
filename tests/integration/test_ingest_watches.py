"""Folders made, renamed and removed faster than they can be watched: in the end each is watched."""

import asyncio
import os
import shutil
from pathlib import Path
from random import Random

import pytest

from ingest.paths import Exclusions
from ingest.watch import Watch, Watcher
from tests.support.waiting import until


def churn(root: Path, random: Random) -> None:
    """Some hundred operations on folders, as fast as the disk goes."""
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
async def test_folders_that_are_renamed_at_once_are_watched_in_the_end(tmp_path: Path, seed: int) -> None:
    watcher = Watcher()
    await watcher.start()
    try:
        watch = Watch(str(tmp_path), Exclusions(()))
        await watcher.add_watch(watch)
        await asyncio.to_thread(churn, tmp_path, Random(seed))
        folders = [Path(folder) for folder, _, _ in os.walk(tmp_path)]
        heard: set[str] = set()

        async def all_heard() -> bool:
            nonlocal watch
            await watcher.add_missing_watches(watch)
            if not watcher.is_intact(watch):
                await watcher.remove_watch(watch)
                watch = Watch(str(tmp_path), Exclusions(()))
                await watcher.add_watch(watch)
            for folder in folders:
                (folder / "a.jpg").write_bytes(b"")
            heard.update(note.path for note in watch.drain()[0])
            return heard >= {str((folder / "a.jpg").relative_to(tmp_path)) for folder in folders}

        await until(all_heard, every_s=0.2)
    finally:
        await watcher.close()

"""Sixteen clients change the same tags of the same images while API processes and mongod are killed."""

import asyncio
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tagify.catalog import Catalog
from tagify.concurrency.tasks import cancel_and_wait
from tagify.model import ImageId
from tagify.settings import CommonSettings
from tests.conftest import Values
from tests.support.catalog_fixtures import insert_images
from tests.support.killable_process import KillableProcess, api_program, killable_process, mongod_program
from tests.support.waiting import until

CLIENTS = 16
IMAGES = 60
KILLS = 6
WORDS = ("sea", "Sea", "sun", "sand", "snow")


class TagLoad:
    """Clients that change tags through several API processes, and counts of the responses."""

    def __init__(self, urls: Sequence[str], ids: Sequence[ImageId]) -> None:
        self._urls = urls
        self._ids = ids
        self._tokens: list[str] = []
        self.acknowledged = 0
        self.refused = 0

    async def client(self, number: int) -> None:
        rng = random.Random(number)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                path, body = self._request(rng)
                try:
                    async with session.post(rng.choice(self._urls) + path, json=body) as response:
                        await self._handle_response(response)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)

    def _request(self, rng: random.Random) -> tuple[str, object]:
        image, choice = rng.choice(self._ids), rng.random()
        if choice < 0.2:
            return f"/api/tags/apply/{image}", rng.choices(WORDS, k=2)
        if choice < 0.4:
            return f"/api/tags/remove/{image}", rng.choices(WORDS, k=2)
        if choice < 0.5 and self._tokens:
            return "/api/tags/undo", {"undo": self._tokens.pop(rng.randrange(len(self._tokens)))}
        ids = rng.sample(self._ids, rng.randint(1, len(self._ids)))
        return "/api/images/tags", {"ids": ids, "add": rng.choices(WORDS), "remove": rng.choices(WORDS)}

    async def _handle_response(self, response: aiohttp.ClientResponse) -> None:
        body: dict[str, Any] = await response.json(content_type=None)
        if response.status == 503:
            self.refused += 1
            await asyncio.sleep(0.1)
            return
        assert response.status == 200, body
        self.acknowledged += 1
        if body.get("undo"):
            self._tokens = [*self._tokens[-200:], body["undo"]]


# The driver leaves connections whose setup timed out to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("garbage_collected")
@pytest.mark.slow
async def test_counts_are_exact_after_concurrent_changes_with_kills(tmp_path: Path) -> None:
    program, uri = mongod_program(tmp_path)
    settings: Values = {"mongo_uri": uri, "mongo_database": "storm"}
    async with killable_process(program) as database:
        catalog = Catalog(CommonSettings(**settings))
        await catalog.ensure_indexes()
        ids = await insert_images(catalog, await catalog.libraries.create("Test", "/srv/test"), IMAGES)
        await catalog.close()
        (first, one), (second, two) = (
            api_program(tmp_path, name, **settings, api_rate=0) for name in ("api-1", "api-2")
        )
        async with killable_process(first) as first_api, killable_process(second) as second_api:
            load = TagLoad((one, two), ids)
            clients = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
            await kill_processes(load, (first_api, database, second_api, database), clients)
            await cancel_and_wait(*clients)
            await verify_counts(settings, tmp_path)
    print(f"{load.acknowledged} changes acknowledged, {load.refused} refused")


async def kill_processes(
    load: TagLoad, victims: Sequence[KillableProcess], clients: Sequence[asyncio.Task[None]]
) -> None:
    """Kill and restart one process after the other; after each, changes must succeed again."""
    for kill in range(KILLS):
        goal = load.acknowledged + 40

        async def reached(goal: int = goal) -> bool:
            assert not any(client.done() for client in clients), [client.exception() for client in clients]
            return load.acknowledged >= goal

        await until(reached, timeout_s=120)
        victim = victims[kill % len(victims)]
        await victim.kill()
        await victim.start()


async def verify_counts(settings: Values, folder: Path) -> None:
    """Run `tagify tags verify`; all counts must be exact."""
    command = (sys.executable, "-m", "tagify.cli.main", "tags", "--data-dir", str(folder), "verify")
    env = {f"TAGIFY_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
    stdout, _ = await process.communicate()
    assert (process.returncode, stdout) == (0, b"every count is exact\n")

"""Sixteen clients change the same tags of the same images; apis and mongod are killed meanwhile."""

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


class Storm:
    """Clients of several apis, and what they were told."""

    def __init__(self, urls: Sequence[str], ids: Sequence[ImageId]) -> None:
        self._urls = urls
        self._ids = ids
        self._tokens: list[str] = []
        self.acknowledged = 0
        self.refused = 0

    async def client(self, number: int) -> None:
        dice = random.Random(number)
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                path, body = self._request(dice)
                try:
                    async with session.post(dice.choice(self._urls) + path, json=body) as response:
                        await self._heed(response)
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)

    def _request(self, dice: random.Random) -> tuple[str, object]:
        image, choice = dice.choice(self._ids), dice.random()
        if choice < 0.2:
            return f"/api/tags/apply/{image}", dice.choices(WORDS, k=2)
        if choice < 0.4:
            return f"/api/tags/remove/{image}", dice.choices(WORDS, k=2)
        if choice < 0.5 and self._tokens:
            return "/api/tags/undo", {"undo": self._tokens.pop(dice.randrange(len(self._tokens)))}
        some = dice.sample(self._ids, dice.randint(1, len(self._ids)))
        return "/api/images/tags", {"ids": some, "add": dice.choices(WORDS), "remove": dice.choices(WORDS)}

    async def _heed(self, response: aiohttp.ClientResponse) -> None:
        answer: dict[str, Any] = await response.json(content_type=None)
        if response.status == 503:
            self.refused += 1
            await asyncio.sleep(0.1)
            return
        assert response.status == 200, answer
        self.acknowledged += 1
        if answer.get("undo"):
            self._tokens = [*self._tokens[-200:], answer["undo"]]


# The driver leaves a connection whose making it gave up to the garbage collector.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.usefixtures("garbage_collected")
@pytest.mark.slow
async def test_counts_are_exact_after_a_storm_with_kills(tmp_path: Path) -> None:
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
        async with killable_process(first) as left, killable_process(second) as right:
            storm = Storm((one, two), ids)
            clients = [asyncio.create_task(storm.client(number)) for number in range(CLIENTS)]
            await rage(storm, (left, database, right, database), clients)
            await cancel_and_wait(*clients)
            await verified(settings, tmp_path)
    print(f"{storm.acknowledged} changes acknowledged, {storm.refused} refused")


async def rage(
    storm: Storm, victims: Sequence[KillableProcess], clients: Sequence[asyncio.Task[None]]
) -> None:
    """Kill one after the other in the middle of it; each time changes go on afterwards."""
    for kill in range(KILLS):
        goal = storm.acknowledged + 40

        async def reached(goal: int = goal) -> bool:
            assert not any(client.done() for client in clients), [client.exception() for client in clients]
            return storm.acknowledged >= goal

        await until(reached, timeout_s=120)
        victim = victims[kill % len(victims)]
        await victim.kill()
        await victim.start()


async def verified(settings: Values, folder: Path) -> None:
    """`tagify tags verify` finds every count exact."""
    command = (sys.executable, "-m", "tagify.cli.main", "tags", "--data-dir", str(folder), "verify")
    env = {f"TAGIFY_{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(*command, env=env, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert (process.returncode, said) == (0, b"every count is exact\n")

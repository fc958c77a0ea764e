"""The README's two commands in a fresh clone, as somebody would type them who has read nothing else."""

import asyncio
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.up_process import running

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    place = tmp_path / "tagify"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    return place


def commands() -> list[str]:
    """The commands that stand alone in an indented block of the README."""
    return re.findall(r"^    (make \w+)$", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.slow
async def test_two_commands_do_all_the_set_up(clone: Path, tmp_path: Path) -> None:
    assert commands() == ["make up", "make test"]
    script = 'cd "$0"; for word; do case $last in --data-dir) data=$word;; --port) port=$word;; esac; last=$word; done; exec make up DATA="$data" PORT="$port"'
    async with running(tmp_path / "run", command=("sh", "-c", script, str(clone))) as up:

        async def page_is_there() -> bool:
            return "60 images are indexed" in up.said() or up.process.returncode is not None

        while not await page_is_there():
            await asyncio.sleep(0.2)
        assert "60 images are indexed" in up.said(), up.said()
        assert len((await up.get("/api/images?limit=200"))["items"]) == 60
        await up.interrupt()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    outcome = await asyncio.create_subprocess_exec(
        "make", "test", "TESTS=tests/unit tests/integration/test_api_libraries.py", cwd=clone, env=environment
    )
    assert await outcome.wait() == 0

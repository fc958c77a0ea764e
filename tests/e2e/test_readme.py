"""The commands of README.md and docs/tutorial.md, run as they are written."""

import asyncio
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.up_process import UpProcess, run_up

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs/tutorial.md").read_text()
INDEXED = "60 images are indexed"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "tagify"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
    return folder


def make_commands() -> list[str]:
    """The `make` commands that form an indented block of the README by themselves."""
    return re.findall(r"^    (make \w+)$", README, re.MULTILINE)


def shell_script(document: str) -> str:
    """All shell blocks of a document as one script, since later ones use variables of earlier ones."""
    return "\n".join(re.findall(r"^```sh\n(.*?)^```$", document, re.MULTILINE | re.DOTALL))


async def run_script(document: str, up: UpProcess, folder: Path) -> str:
    """The output of a document's shell blocks against a running Tagify."""
    script = shell_script(document).replace("http://127.0.0.1:8000", up.url)
    folder.mkdir()
    (folder / ".data").symlink_to(up.data)
    process = await asyncio.create_subprocess_exec(
        "bash", "-euc", script, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def wait_for_index(up: UpProcess) -> None:
    while INDEXED not in up.output_text() and up.process.returncode is None:
        await asyncio.sleep(0.2)
    assert INDEXED in up.output_text(), up.output_text()


@pytest.mark.skipif(not shutil.which("nginx"), reason="the documents use one origin, which needs nginx")
async def test_readme_and_tutorial_commands_work(tmp_path: Path) -> None:
    async with run_up(tmp_path / "run") as up:
        await wait_for_index(up)
        await run_script(README, up, tmp_path / "readme")
        tagged = (await up.get_json("/api/images?tags=favourite"))["items"]
        assert len(tagged) == 1
        assert (tmp_path / "readme/thumb.jpg").read_bytes().startswith(b"\xff\xd8")
        assert (tmp_path / "readme/320.webp").read_bytes()[8:12] == b"WEBP"
        output = await run_script(TUTORIAL, up, tmp_path / "tutorial")
        assert '"changed":2' in output
        assert (await up.get_json("/api/images?tags=tutorial"))["items"] == []
        assert (tmp_path / "tutorial/small.jpg").read_bytes().startswith(b"\xff\xd8")
        added = re.search(r'"_id":"(\w+)","path":"new.jpg"', output)
        assert added, output
        assert f'"_id":"{added[1]}","path":"renamed.jpg"' in output
        assert "problem" not in output
        await up.interrupt()


@pytest.mark.slow
async def test_make_up_and_make_test_work_in_a_fresh_clone(clone: Path, tmp_path: Path) -> None:
    assert make_commands() == ["make up", "make test"]
    script = 'cd "$0"; for word; do case $last in --data-dir) data=$word;; --port) port=$word;; esac; last=$word; done; exec make up DATA="$data" PORT="$port"'
    async with run_up(tmp_path / "run", command=("sh", "-c", script, str(clone))) as up:
        await wait_for_index(up)
        assert len((await up.get_json("/api/images?limit=200"))["items"]) == 60
        await up.interrupt()
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    make_test = await asyncio.create_subprocess_exec(
        "make", "test", "TESTS=tests/unit tests/integration/test_api_libraries.py", cwd=clone, env=environment
    )
    assert await make_test.wait() == 0

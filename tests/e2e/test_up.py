"""`tagify up`: from an empty folder to an image in a browser, restarts, and its error messages."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from tagify.servers.ports import http_responds
from tagify.servers.s3 import S3Server
from tests.support import pictures
from tests.support.browser import browser_page
from tests.support.ports import free_ports
from tests.support.servers import Servers, skip_or_fail
from tests.support.up_process import COMMAND, UpProcess, is_alive, run_up
from tests.support.waiting import until


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "library"
    folder.mkdir()
    yield folder


@pytest.mark.parametrize("use_nginx", [True, False], ids=["nginx", "no-nginx"])
async def test_new_file_appears_in_a_browser_without_reload(
    tmp_path: Path, library: Path, use_nginx: bool
) -> None:
    if use_nginx and not shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"):
        skip_or_fail("nginx", "sudo apt-get install nginx")
    arguments = ["--library", str(library)] + ([] if use_nginx else ["--no-nginx"])
    async with run_up(tmp_path / "run", *arguments) as up, browser_page() as (page, troubles):
        await up.wait_for_images(0)
        await page.goto(up.url)
        await page.get_by_text("No images here yet").wait_for()
        (library / "first <b>.jpg").write_bytes(pictures.with_keywords("Sea"))
        tile = page.locator("[data-image-id]")
        await tile.locator("img.loaded").wait_for()
        assert await tile.locator("img").get_attribute("alt") == "first <b>.jpg"
        await page.locator('[data-tag="Sea"]').wait_for()
        await tile.locator("a").click()
        await page.locator("#new-tag").fill("by hand")
        await page.keyboard.press("Enter")
        await page.locator('[data-image-tag="by hand"]').wait_for()
        await page.keyboard.press("Escape")
        await page.locator('[data-tag="by hand"]').click()
        await tile.wait_for()
        # An empty library is suspended and nothing is deleted from it, so a second file remains.
        (library / "second.jpg").write_bytes(pictures.jpeg(seed=2))
        await up.wait_for_images(2)
        (library / "first <b>.jpg").unlink()
        await tile.wait_for(state="detached")
        assert troubles == []


async def test_second_run_uses_the_same_data(tmp_path: Path, library: Path) -> None:
    (library / "a.jpg").write_bytes(pictures.jpeg())
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        before = await up.wait_for_images(1)
        children = up.child_pids()
        assert {"mongod", "ingest", "api", "edge"} <= children.keys()
        assert await up.interrupt() == 0
        assert not [name for name, pid in children.items() if is_alive(pid)]
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        assert await up.wait_for_images(1) == before


async def test_external_servers_are_used_instead_of_embedded_ones(
    tmp_path: Path, library: Path, servers: Servers, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "a.jpg").write_bytes(pictures.jpeg())
    monkeypatch.setenv("TAGIFY_S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("TAGIFY_S3_SECRET_KEY", s3.secret_key)
    monkeypatch.setenv("TAGIFY_S3_KEY_PREFIX", "own/")
    monkeypatch.setenv("TAGIFY_MONGO_DATABASE", f"own-{s3.kind}")
    arguments = ("--library", str(library), "--mongo-uri", servers.mongo_uri(), "--s3-endpoint", s3.endpoint)
    async with run_up(tmp_path / "run", *arguments) as up:
        listed = (await up.wait_for_images(1))[0]
        item = await up.get_json(f"/api/images/{listed['_id']}")
        assert up.child_pids().keys().isdisjoint({"mongod", "minio", "weed"})
        original = item["original"] if item["original"].startswith("http") else up.url + item["original"]
        assert await http_responds(original)


async def test_killed_child_is_reported_and_restarted(tmp_path: Path, library: Path) -> None:
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        await up.wait_for_images(0)
        await until(lambda: _says(up, "images are indexed"))
        os.kill(up.child_pids()["api"], signal.SIGKILL)
        await until(lambda: _says(up, "api restarted"))
        assert "api was killed by SIGKILL" in up.output_text()
        (library / "a.jpg").write_bytes(pictures.jpeg())
        await up.wait_for_images(1)


def _log_lines(up: UpProcess, name: str) -> list[str]:
    return (up.data / "logs" / f"{name}.log").read_text().splitlines()


def _says_line(up: UpProcess, name: str, text: str) -> Callable[[], Awaitable[bool]]:
    async def probe() -> bool:
        return any(text in line for line in _log_lines(up, name))

    return probe


@pytest.mark.slow
async def test_absent_s3_server_leaves_a_line_when_it_goes_and_one_when_it_is_back(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAGIFY_S3_TIMEOUT_S", "0.5")
    (library / "a.jpg").write_bytes(pictures.jpeg())
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        (image,) = await up.wait_for_images(1)
        pids = up.child_pids()
        server = pids.get("minio") or pids["weed"]
        os.kill(server, signal.SIGSTOP)
        (library / "b.jpg").write_bytes(pictures.jpeg(seed=2))
        original = f"{up.url}/media/{image['content']}/original"
        await until(_says_line(up, "ingest", "server unavailable: S3"), timeout_s=30)
        # The requests go on until the circuit is open.
        await until(lambda: _fails(up, original), timeout_s=30)
        os.kill(server, signal.SIGCONT)
        await up.wait_for_images(2)
        await until(lambda: http_responds(original), timeout_s=30)
        await until(_says_line(up, "edge", "server is back: S3"), timeout_s=30)
        for name in ("ingest", "edge", "api"):
            lines = _log_lines(up, name)
            assert not [line for line in lines if "Traceback" in line or "urllib3" in line], lines
            # One line of each request that failed is left to the edge.
            severe = [line for line in lines if " warning " in line and " request route=" not in line]
            outage = [line for line in severe if "slow query" not in line]
            assert len([line for line in outage if "server unavailable: S3" in line]) == (name != "api")
            assert len(outage) <= 4, outage


async def _fails(up: UpProcess, url: str) -> bool:
    await http_responds(url)
    return any("calls to a server are refused for now" in line for line in _log_lines(up, "edge"))


@pytest.mark.parametrize(
    "name",
    [pytest.param("mongod", marks=pytest.mark.slow), pytest.param("api", marks=pytest.mark.slow), "ingest"],
)
async def test_child_killed_during_the_first_scan_is_restarted(
    tmp_path: Path, library: Path, name: str
) -> None:
    picture = pictures.jpeg(1600, 1200)
    for number in range(150):
        (library / f"{number}.jpg").write_bytes(picture + f"{number}".encode())
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        await until(lambda: _says(up, "Tagify is at"), timeout_s=60)
        os.kill(up.child_pids()[name], signal.SIGKILL)
        await until(lambda: _says(up, f"{name} restarted"), timeout_s=60)
        await until(lambda: _says(up, "150 images are indexed"), timeout_s=60)
        assert "Traceback" not in up.output_text()


async def test_child_killed_before_it_is_ready_is_started_again(tmp_path: Path, library: Path) -> None:
    async with run_up(tmp_path / "run", "--library", str(library)) as up:

        async def kill_api() -> bool:
            pid = up.child_pids().get("api")
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            return pid is not None

        await until(kill_api)
        await up.wait_for_images(0)
        assert "api was killed by SIGKILL" in up.output_text()
        assert "restarting api in 0.5 s" in up.output_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
async def test_full_disk_pauses_imports_until_there_is_space(tmp_path: Path, library: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    await _run("mount", "-t", "tmpfs", "-o", "size=900m", "tmpfs", str(disk))
    try:
        async with run_up(
            tmp_path / "run", "--library", str(library), "--data-dir", str(disk / "data")
        ) as up:
            await up.wait_for_images(0)
            filler = disk / "filler"
            # Unbuffered: closing would flush what a short write left in a buffer, and fail.
            with filler.open("wb", buffering=0) as out, suppress(OSError):
                while True:
                    out.write(bytes(1 << 20))
            await until(lambda: _says(up, "the disk is full: "), timeout_s=30)
            (library / "a.jpg").write_bytes(pictures.jpeg())
            await asyncio.sleep(5)
            filler.unlink()
            await until(lambda: _says(up, "the disk has space again"), timeout_s=30)
            await up.wait_for_images(1)
            assert "Traceback" not in up.output_text()
            assert up.output_text().count("the disk is full: ") == 1
    finally:
        await _run("umount", "-l", str(disk))


async def test_kill_leaves_no_process(tmp_path: Path, library: Path) -> None:
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        await up.wait_for_images(0)
        children = up.child_pids()
        up.process.kill()
        await up.process.wait()

        async def all_exited() -> bool:
            return not any(is_alive(pid) for pid in children.values())

        await until(all_exited, timeout_s=30)


async def test_port_in_use_is_a_one_line_error(tmp_path: Path, library: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        async with run_up(tmp_path / "run", "--library", str(library), "--port", str(port)) as up:
            assert await up.process.wait() == 1
            assert (
                up.output_text().strip() == f"tagify: port {port} of 127.0.0.1 is in use by another process: "
                "choose another with --port (make up: PORT=NUMBER)"
            )
    finally:
        server.close()
        await server.wait_closed()


async def test_second_process_on_a_data_folder_is_refused(tmp_path: Path, library: Path) -> None:
    async with run_up(tmp_path / "run", "--library", str(library)) as up:
        await up.wait_for_images(0)
        async with run_up(
            tmp_path / "other", "--library", str(library), "--data-dir", str(up.data)
        ) as second:
            assert await second.process.wait() == 1
            assert "another `tagify up` uses" in second.output_text()
            assert "Traceback" not in second.output_text()


async def test_unusable_folders_are_one_line_errors(tmp_path: Path, library: Path) -> None:
    (tmp_path / "file").write_text("x")
    for arguments, reason in (
        (("--data-dir", str(tmp_path / "file")), "is not a folder"),
        (("--data-dir", "/proc/tagify"), "choose another with --data-dir"),
        (("--library", str(tmp_path / "none")), "is not a folder"),
    ):
        async with run_up(tmp_path / "run", "--library", str(library), *arguments) as up:
            assert await up.process.wait() == 1
            lines = up.output_text().strip().splitlines()
            assert reason in lines[-1]
            assert "Traceback" not in up.output_text()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (
            ("--port", "80000"),
            "'80000' is not a port: choose one from 1 to 65535 with --port (make up: PORT=",
        ),
        (("--port", "0"), "'0' is not a port"),
        (("--port", ""), "'' is not a port"),
        (("--port", "eighty"), "'eighty' is not a port"),
        (("--host", "192.0.2.7"), "192.0.2.7 is not an address of this machine: choose another with --host"),
        (("--host", "2001:db8::7"), "2001:db8::7 is not an address of this machine"),
        (("--host", "no such host"), "no such host is not an address, nor a name that resolves to one"),
        (("--host", ","), "--host is empty"),
    ],
)
async def test_unusable_addresses_are_one_line_errors(
    tmp_path: Path, arguments: tuple[str, str], reason: str
) -> None:
    async with run_up(tmp_path / "run", *arguments) as up:
        assert await up.process.wait() == 1
        (line,) = up.output_text().splitlines()
        assert line.startswith(f"tagify: {reason}")
        assert not up.data.exists()


@pytest.mark.parametrize("use_nginx", [True, False], ids=["nginx", "no-nginx"])
async def test_page_listens_on_ipv4_and_ipv6_at_once(tmp_path: Path, library: Path, use_nginx: bool) -> None:
    arguments = ["--library", str(library), "--host", "127.0.0.1,::1"] + ([] if use_nginx else ["--no-nginx"])
    async with run_up(tmp_path / "run", *arguments) as up:
        await up.wait_for_images(0)
        assert await http_responds(f"http://[::1]:{up.port}/api/health")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("host", "use_nginx"), [("0.0.0.0", True), ("0.0.0.0", False), ("127.0.0.1,127.0.0.2", False)]
)
async def test_page_shows_images_under_each_address_of_the_machine(
    tmp_path: Path, library: Path, host: str, use_nginx: bool
) -> None:
    (library / "a.jpg").write_bytes(pictures.jpeg())
    (library / "bad.jpg").write_bytes(b"no picture")
    arguments = ["--library", str(library), "--host", host] + ([] if use_nginx else ["--no-nginx"])
    async with run_up(tmp_path / "run", *arguments) as up, browser_page() as (page, troubles):
        (item,) = await up.wait_for_images(1)
        site = f"http://127.0.0.2:{up.port}"
        async with aiohttp.ClientSession(site) as client:
            image = await (await client.get(f"/api/images/{item['_id']}")).json()
            for url in (image["thumb"], image["original"], image["variants"][0]["url"]):
                async with client.get(url) as response:
                    assert (response.status, response.url.host) == (200, "127.0.0.2")
                    assert response.content_type.startswith("image/")
        await page.goto(site)
        await page.locator("[data-image-id] img.loaded").wait_for()
        await page.get_by_text("1 failed").click()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download").click()
        assert Path(await (await download.value).path()).read_bytes() == b"no picture"
        assert ("Tagify has no sign-in" in up.output_text()) == (host == "0.0.0.0")
        assert troubles == []


@pytest.mark.slow
@pytest.mark.parametrize("use_nginx", [True, False], ids=["nginx", "no-nginx"])
async def test_name_of_the_host_option_is_a_name_of_the_site(
    tmp_path: Path, library: Path, use_nginx: bool
) -> None:
    """In a mount namespace, in which /etc/hosts has the name."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.0.1 photos.test\n")
    script = f"mount --bind '{hosts}' /etc/hosts && exec \"$@\""
    command = ("unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", *COMMAND)
    arguments = ["--library", str(library), "--host", "photos.test"] + ([] if use_nginx else ["--no-nginx"])
    (library / "a.jpg").write_bytes(pictures.jpeg())
    async with run_up(tmp_path / "run", *arguments, command=command) as up:
        (item,) = await up.wait_for_images(1)
        async with aiohttp.ClientSession(up.url) as client:
            for name, status in (("photos.test", 200), (f"photos.test:{up.port}", 200), ("evil.test", 421)):
                async with client.get("/api/images", headers={"Host": name}) as response:
                    assert response.status == status
        assert f"Tagify is at http://photos.test:{up.port}" in up.output_text()
        assert item["path"] == "a.jpg" and "no sign-in" not in up.output_text()


async def test_folder_of_somebody_else_is_refused_as_data_folder(tmp_path: Path, library: Path) -> None:
    folder = tmp_path / "etc"
    (folder / "nginx").mkdir(parents=True)
    (folder / "nginx/nginx.conf").write_text("theirs")
    (folder / "lock").touch()
    for data in (folder, folder / "nginx", library.parent):
        before = sorted(folder.rglob("*"))
        async with run_up(tmp_path / "run", "--library", str(library), "--data-dir", str(data)) as up:
            assert await up.process.wait() == 1
            (line,) = up.output_text().splitlines()
            assert line == (
                f"tagify: {data} has files that are not Tagify's, and stays as it is: "
                "choose another with --data-dir (make up: DATA=FOLDER)"
            )
        assert sorted(folder.rglob("*")) == before
        assert (folder / "nginx/nginx.conf").read_text() == "theirs"
        (tmp_path / "run/output.txt").unlink()


async def test_programs_of_the_current_folder_are_not_run(
    tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (library / "a.jpg").write_bytes(pictures.jpeg())
    elsewhere = tmp_path / "elsewhere"
    for name in ("tagify", "ingest", "api", "edge", "aiohttp", "json"):
        (elsewhere / name).mkdir(parents=True)
        (elsewhere / name / "__init__.py").write_text("raise SystemExit('a foreign module was run')")
    (elsewhere / "uvloop.py").write_text("raise SystemExit('a foreign module was run')")
    monkeypatch.chdir(elsewhere)
    tagify = str(Path(sys.executable).with_name("tagify"))
    async with run_up(tmp_path / "run", "--library", str(library), command=(tagify, "up")) as up:
        await up.wait_for_images(1)
        for command in (("ingest", "--once", str(library)), ("cache", "stats")):
            process = await asyncio.create_subprocess_exec(
                tagify, command[0], "--data-dir", str(up.data), *command[1:],
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            out, _ = await process.communicate()
            assert process.returncode == 0, out


async def test_full_disk_is_a_one_line_error(tmp_path: Path, library: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = await asyncio.create_subprocess_exec(
        "unshare", "--mount", "--map-root-user", "sh", "-c",
        f"mount -t tmpfs -o size=1m tmpfs '{small}' && exec \"$@\"", "sh",
        *COMMAND, "--library", str(library), "--data-dir", str(small / "data"), "--port", str(free_ports()),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await mount.communicate()
    assert mount.returncode == 1
    assert b"MB free and needs 500" in out


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    assert await process.wait() == 0


async def _says(up: UpProcess, text: str) -> bool:
    return text in up.output_text()

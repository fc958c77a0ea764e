"""A service under systemd: what it says when, where it listens, and how it ends."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.ports import free_ports
from tests.support.systemd_service import Service, service
from tests.support.waiting import until

TEXT = {"log_format": "text"}
AWAY = {"mongo_uri": "mongodb://127.0.0.1:1/?directConnection=true", "mongo_timeout_s": 0.3, **TEXT}


def unix_session(path: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://tagify", connector=aiohttp.UnixConnector(str(path)))


def api_at(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "api_socket": path, **TEXT}


async def test_ready_is_said_once_the_database_answers_and_not_before(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    place = tmp_path / "api.sock"
    async with service("api", tmp_path, {**AWAY, "api_socket": place}) as api:
        await api.says("not ready yet: mongo: ")
        await api.listener.heard("EXTEND_TIMEOUT_USEC=15000000")
        async with unix_session(place) as session, session.get("/livez") as answer:
            assert answer.status == 200
        assert "READY=1" not in api.listener.notes()
        assert await api.stop() == 0
    async with service("api", tmp_path, api_at(place, mongo_values)) as api:
        await api.listener.heard("READY=1")


@pytest.fixture(autouse=True)
def _fresh_notify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of this machine's systemd reaches the services."""
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


async def test_a_passed_socket_keeps_connections_over_a_restart(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    place = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(place))
        held.listen(64)
        values = {**mongo_values, **TEXT}
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        async with service("api", tmp_path / "one", values, passed=held) as api:
            await api.listener.heard("READY=1")
            assert await api.stop() == 0
        async with unix_session(place) as session:
            waiting = [asyncio.create_task(_status(session, "/api/health")) for _ in range(20)]
            async with service("api", tmp_path / "two", values, passed=held) as api:
                assert await asyncio.gather(*waiting) == [200] * 20
                assert f"unix:{place}" in api.said()


async def _status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as answer:
        await answer.read()
        return answer.status


async def test_a_request_under_way_is_finished_and_its_connection_told(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    place = tmp_path / "api.sock"
    async with service("api", tmp_path, api_at(place, mongo_values)) as api:
        await api.listener.heard("READY=1")
        slow_reader, slow = await asyncio.open_unix_connection(str(place))
        body = b'{"ids": ["65f000000000000000000000"], "add": ["a"], "remove": []}'
        slow.write(
            b"POST /api/images/tags HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:10]
        )
        idle_reader, idle = await asyncio.open_unix_connection(str(place))
        idle.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200 OK" in await idle_reader.readuntil(b"}")
        api.process.send_signal(signal.SIGTERM)
        await api.listener.heard("STOPPING=1")
        # Kept alive, and used just as the service ends: answered, and told to come no more.
        idle.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        last = await idle_reader.read()
        assert b"200 OK" in last
        assert b"Connection: close" in last
        slow.write(body[10:])
        answer = await slow_reader.read()
        assert re.match(rb"HTTP/1.1 [24]\d\d ", answer)
        assert b"Connection: close" in answer
        for writer in (slow, idle):
            writer.close()
        assert await asyncio.wait_for(api.process.wait(), 30) == 0


async def test_event_streams_end_with_the_service(tmp_path: Path, mongo_values: dict[str, Any]) -> None:
    place = tmp_path / "api.sock"
    async with service("api", tmp_path, api_at(place, mongo_values)) as api, unix_session(place) as session:
        await api.listener.heard("READY=1")
        async with session.get("/api/events") as stream:
            assert stream.status == 200
            await stream.content.readany()
            api.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(stream.read(), 20)
        assert await asyncio.wait_for(api.process.wait(), 30) == 0
        assert "Traceback" not in api.said()


async def test_a_loop_that_is_stuck_does_not_feed_the_watchdog(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    values = api_at(tmp_path / "api.sock", mongo_values)
    async with service("api", tmp_path, values, more={"WATCHDOG_USEC": "300000"}) as api:
        await api.listener.heard("WATCHDOG=1")
        await until(lambda: _beats(api, 5))
        api.process.send_signal(signal.SIGSTOP)
        await until(lambda: _state(api, "T"))
        before = api.listener.notes().count("WATCHDOG=1")
        await asyncio.sleep(0.6)
        assert api.listener.notes().count("WATCHDOG=1") == before
        api.process.send_signal(signal.SIGCONT)
        await until(lambda: _beats(api, before + 3))


async def _beats(api: Service, number: int) -> bool:
    return api.listener.notes().count("WATCHDOG=1") >= number


async def _state(api: Service, letter: str) -> bool:
    return f") {letter} " in Path(f"/proc/{api.process.pid}/stat").read_text()


async def test_a_watchdog_of_another_process_is_left_alone(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    values = api_at(tmp_path / "api.sock", mongo_values)
    other = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    async with service("api", tmp_path, values, more=other) as api:
        await api.listener.heard("READY=1")
        assert "WATCHDOG=1" not in api.listener.notes()


async def test_a_reload_takes_over_the_log_and_tells_what_waits(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    file = tmp_path / "tagify.env"
    file.write_text("TAGIFY_LOG_LEVEL=info\nTAGIFY_INGEST_WORKERS=3\n")
    values = {**api_at(tmp_path / "api.sock", mongo_values), "settings_file": file}
    async with service("api", tmp_path, values) as api:
        await api.listener.heard("READY=1")
        file.write_text("TAGIFY_LOG_LEVEL=debug\nTAGIFY_MEDIA_BASE_URL=https://cdn.example.org\n")
        os.kill(api.process.pid, signal.SIGHUP)
        await api.says("settings reloaded: log_level")
        await api.says("changed settings need a restart: media_base_url")
        notes = api.listener.notes()
        assert notes.index("RELOADING=1") < len(notes) - 1 - notes[::-1].index("READY=1")
        async with unix_session(tmp_path / "api.sock") as session:
            assert await _status(session, "/livez") == 200
        await api.says(" debug   api    request")
        file.write_text("TAGIFY_LOG_LEVEL=loud\n")
        os.kill(api.process.pid, signal.SIGHUP)
        await api.says("invalid settings; keeping the old ones: TAGIFY_LOG_LEVEL")
        assert await api.stop() == 0


async def test_secrets_come_as_credentials(tmp_path: Path, mongo_values: dict[str, Any]) -> None:
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    (secrets / "tagify_mongo_uri").write_text(mongo_values.pop("mongo_uri") + "\n")
    values = api_at(tmp_path / "api.sock", mongo_values)
    async with service("api", tmp_path, values, more={"CREDENTIALS_DIRECTORY": str(secrets)}) as api:
        await api.listener.heard("READY=1")


async def test_a_socket_left_behind_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    place = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(place))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with service("api", tmp_path / "one", {**AWAY, "api_socket": place}) as api:
        await api.says("listening")
        assert place.stat().st_mode & 0o777 == 0o660
        async with service("api", tmp_path / "two", {**AWAY, "api_socket": place}) as second:
            assert await asyncio.wait_for(second.process.wait(), 30) == 1
            assert f"{place} is in use by another process" in second.said()
        async with unix_session(place) as session:
            assert await _status(session, "/livez") == 200


async def test_ports_go_on_to_work(tmp_path: Path) -> None:
    port = free_ports()
    async with service("edge", tmp_path, {**AWAY, "edge_port": port, "edge_cache_dir": tmp_path}) as edge:
        await edge.says("listening")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            assert await _status(session, "/livez") == 200
        assert await edge.stop() == 0

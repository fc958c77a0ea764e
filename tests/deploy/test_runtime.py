"""A service under systemd: notifications, watchdog, sockets, reload and graceful shutdown."""

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
from tests.support.systemd_service import ServiceProcess, run_service
from tests.support.waiting import until

TEXT_LOG = {"log_format": "text"}
MONGODB_DOWN = {
    "mongo_uri": "mongodb://127.0.0.1:1/?directConnection=true",
    "mongo_timeout_s": 0.3,
    **TEXT_LOG,
}


def unix_session(path: Path) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(str(path)))


def api_settings(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "api_socket": path, **TEXT_LOG}


async def test_ready_is_notified_only_after_the_database_responds(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    socket_path = tmp_path / "api.sock"
    async with run_service("api", tmp_path, {**MONGODB_DOWN, "api_socket": socket_path}) as api:
        await api.wait_for_log("not ready yet: mongo: ")
        await api.notify_socket.wait_for("EXTEND_TIMEOUT_USEC=15000000")
        async with unix_session(socket_path) as session, session.get("/livez") as response:
            assert response.status == 200
        assert "READY=1" not in api.notify_socket.messages()
        assert await api.stop() == 0
    async with run_service("api", tmp_path, api_settings(socket_path, mongo_values)) as api:
        await api.notify_socket.wait_for("READY=1")


@pytest.fixture(autouse=True)
def _no_systemd_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove this machine's systemd variables from the environment of the services."""
    for name in ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "CREDENTIALS_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


async def test_an_inherited_socket_keeps_connections_during_a_restart(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    socket_path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen(64)
        values = {**mongo_values, **TEXT_LOG}
        (tmp_path / "one").mkdir()
        (tmp_path / "two").mkdir()
        async with run_service("api", tmp_path / "one", values, inherited_socket=listener) as api:
            await api.notify_socket.wait_for("READY=1")
            assert await api.stop() == 0
        async with unix_session(socket_path) as session:
            requests = [asyncio.create_task(_get_status(session, "/api/health")) for _ in range(20)]
            async with run_service("api", tmp_path / "two", values, inherited_socket=listener) as api:
                assert await asyncio.gather(*requests) == [200] * 20
                assert f"unix:{socket_path}" in api.log_text()


async def _get_status(session: aiohttp.ClientSession, path: str) -> int:
    async with session.get(path) as response:
        await response.read()
        return response.status


async def test_shutdown_finishes_started_requests_and_closes_keepalive_connections(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    socket_path = tmp_path / "api.sock"
    async with run_service("api", tmp_path, api_settings(socket_path, mongo_values)) as api:
        await api.notify_socket.wait_for("READY=1")
        slow_reader, slow = await asyncio.open_unix_connection(str(socket_path))
        body = b'{"ids": ["65f000000000000000000000"], "add": ["a"], "remove": []}'
        slow.write(
            b"POST /api/images/tags HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            + f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body[:10]
        )
        idle_reader, idle = await asyncio.open_unix_connection(str(socket_path))
        idle.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"200 OK" in await idle_reader.readuntil(b"}")
        api.process.send_signal(signal.SIGTERM)
        await api.notify_socket.wait_for("STOPPING=1")
        # A request on a keep-alive connection during shutdown: answered with `Connection: close`.
        idle.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        last = await idle_reader.read()
        assert b"200 OK" in last
        assert b"Connection: close" in last
        slow.write(body[10:])
        response = await slow_reader.read()
        assert re.match(rb"HTTP/1.1 [24]\d\d ", response)
        assert b"Connection: close" in response
        for writer in (slow, idle):
            writer.close()
        assert await asyncio.wait_for(api.process.wait(), 30) == 0


async def test_event_streams_end_with_the_service(tmp_path: Path, mongo_values: dict[str, Any]) -> None:
    socket_path = tmp_path / "api.sock"
    async with (
        run_service("api", tmp_path, api_settings(socket_path, mongo_values)) as api,
        unix_session(socket_path) as session,
    ):
        await api.notify_socket.wait_for("READY=1")
        async with session.get("/api/events") as stream:
            assert stream.status == 200
            await stream.content.readany()
            api.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(stream.read(), 20)
        assert await asyncio.wait_for(api.process.wait(), 30) == 0
        assert "Traceback" not in api.log_text()


async def test_host_is_checked_on_a_unix_socket_too(tmp_path: Path, mongo_values: dict[str, Any]) -> None:
    """A proxy that passes on any Host header may be in front of the socket; operators use `localhost`."""
    socket_path = tmp_path / "api.sock"
    async with (
        run_service("api", tmp_path, api_settings(socket_path, mongo_values)) as api,
        unix_session(socket_path) as session,
    ):
        await api.notify_socket.wait_for("READY=1")
        for host, path, status in (
            ("localhost", "/api/health", 200),
            ("evil.example", "/api/health", 421),
            ("evil.example", "/livez", 200),
        ):
            async with session.get(path, headers={"Host": host}) as response:
                assert response.status == status, (host, path)


async def test_a_blocked_event_loop_does_not_ping_the_watchdog(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    values = api_settings(tmp_path / "api.sock", mongo_values)
    async with run_service("api", tmp_path, values, extra_environ={"WATCHDOG_USEC": "300000"}) as api:
        await api.notify_socket.wait_for("WATCHDOG=1")
        await until(lambda: _has_pings(api, 5))
        api.process.send_signal(signal.SIGSTOP)
        await until(lambda: _is_in_state(api, "T"))
        before = api.notify_socket.messages().count("WATCHDOG=1")
        await asyncio.sleep(0.6)
        assert api.notify_socket.messages().count("WATCHDOG=1") == before
        api.process.send_signal(signal.SIGCONT)
        await until(lambda: _has_pings(api, before + 3))


async def _has_pings(api: ServiceProcess, number: int) -> bool:
    return api.notify_socket.messages().count("WATCHDOG=1") >= number


async def _is_in_state(api: ServiceProcess, letter: str) -> bool:
    return f") {letter} " in Path(f"/proc/{api.process.pid}/stat").read_text()


async def test_a_watchdog_of_another_process_is_ignored(tmp_path: Path, mongo_values: dict[str, Any]) -> None:
    values = api_settings(tmp_path / "api.sock", mongo_values)
    other = {"WATCHDOG_USEC": "100000", "WATCHDOG_PID": "1"}
    async with run_service("api", tmp_path, values, extra_environ=other) as api:
        await api.notify_socket.wait_for("READY=1")
        assert "WATCHDOG=1" not in api.notify_socket.messages()


async def test_a_reload_applies_log_settings_and_logs_those_that_need_a_restart(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    file = tmp_path / "tagify.env"
    file.write_text("TAGIFY_LOG_LEVEL=info\nTAGIFY_INGEST_WORKERS=3\n")
    values = {**api_settings(tmp_path / "api.sock", mongo_values), "settings_file": file}
    async with run_service("api", tmp_path, values) as api:
        await api.notify_socket.wait_for("READY=1")
        file.write_text("TAGIFY_LOG_LEVEL=debug\nTAGIFY_MEDIA_BASE_URL=https://cdn.example.org\n")
        os.kill(api.process.pid, signal.SIGHUP)
        await api.wait_for_log("settings reloaded: log_level")
        await api.wait_for_log("changed settings need a restart: media_base_url")
        notes = api.notify_socket.messages()
        assert notes.index("RELOADING=1") < len(notes) - 1 - notes[::-1].index("READY=1")
        async with unix_session(tmp_path / "api.sock") as session:
            assert await _get_status(session, "/livez") == 200
        await api.wait_for_log(" debug   api    request")
        file.write_text("TAGIFY_LOG_LEVEL=loud\n")
        os.kill(api.process.pid, signal.SIGHUP)
        await api.wait_for_log("invalid settings; keeping the old ones: TAGIFY_LOG_LEVEL")
        assert await api.stop() == 0


async def test_secrets_are_read_from_systemd_credentials(
    tmp_path: Path, mongo_values: dict[str, Any]
) -> None:
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    (secrets / "tagify_mongo_uri").write_text(mongo_values.pop("mongo_uri") + "\n")
    values = api_settings(tmp_path / "api.sock", mongo_values)
    async with run_service(
        "api", tmp_path, values, extra_environ={"CREDENTIALS_DIRECTORY": str(secrets)}
    ) as api:
        await api.notify_socket.wait_for("READY=1")


async def test_a_stale_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    socket_path = tmp_path / "api.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(socket_path))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    async with run_service("api", tmp_path / "one", {**MONGODB_DOWN, "api_socket": socket_path}) as api:
        await api.wait_for_log("listening")
        assert socket_path.stat().st_mode & 0o777 == 0o660
        async with run_service(
            "api", tmp_path / "two", {**MONGODB_DOWN, "api_socket": socket_path}
        ) as second:
            assert await asyncio.wait_for(second.process.wait(), 30) == 1
            assert f"{socket_path} is in use by another process" in second.log_text()
        async with unix_session(socket_path) as session:
            assert await _get_status(session, "/livez") == 200


async def test_a_service_listens_on_a_tcp_port_without_sockets(tmp_path: Path) -> None:
    port = free_ports()
    async with run_service(
        "edge", tmp_path, {**MONGODB_DOWN, "edge_port": port, "edge_cache_dir": tmp_path}
    ) as edge:
        await edge.wait_for_log("listening")
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            assert await _get_status(session, "/livez") == 200
        assert await edge.stop() == 0

"""`tagify doctor` with real servers, and with unreachable ones."""

import asyncio
from datetime import date
from pathlib import Path

import pytest

from tagify.cli.main import main
from tagify.doctor import host, servers
from tagify.doctor.finding import Level
from tagify.servers import s3
from tagify.servers.process import Process
from tagify.servers.seaweedfs import seaweedfs_server
from tests.conftest import Values
from tests.support.ports import free_ports
from tests.support.servers import find_binary


def set_environment(monkeypatch: pytest.MonkeyPatch, values: Values) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"TAGIFY_{name.upper()}", str(value))


async def test_real_servers_pass_every_check(
    monkeypatch: pytest.MonkeyPatch, mongo_values: Values, s3_values: Values, blobs: object, tmp_path: Path
) -> None:
    set_environment(monkeypatch, {**mongo_values, **s3_values, "edge_cache_dir": tmp_path / "cache"})
    lines: list[str] = []
    monkeypatch.setattr("builtins.print", lambda *parts, **_: lines.append(" ".join(map(str, parts))))
    status = await asyncio.to_thread(main, ["doctor", "--data-dir", str(tmp_path)])
    report = "\n".join(lines)
    assert status == 0, report
    for text in (
        "replica set rs0",
        "journaled",
        "its buckets exist",
        "clock is",
        "inotify",
        "open files",
    ):
        assert text in report


def test_unreachable_servers_are_errors_with_a_fix(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unreachable = {
        "mongo_uri": "mongodb://127.0.0.1:1/?directConnection=true",
        "mongo_timeout_s": 0.2,
        "s3_endpoint": "http://127.0.0.1:1",
        "s3_timeout_s": 0.2,
    }
    set_environment(monkeypatch, unreachable)
    assert main(["doctor", "--data-dir", str(tmp_path)]) == 1
    report = capsys.readouterr().out
    assert "error   MongoDB" in report
    assert "error   S3" in report
    assert "TAGIFY_MONGO_URI" in report


async def test_open_grpc_ports_of_seaweedfs_are_an_error(tmp_path: Path) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)))
        await writer.drain()
        writer.close()

    s3.record_server_kind(tmp_path, "seaweedfs")
    first = free_ports()
    server = await asyncio.start_server(answer, "127.0.0.1", first + 6)
    findings = [finding async for finding in servers.check_seaweedfs(f"http://127.0.0.1:{first}", tmp_path)]
    server.close()
    assert [finding.level for finding in findings] == [Level.ERROR]
    assert f"port {first + 6}" in findings[0].message


async def test_closed_grpc_ports_of_seaweedfs_pass(tmp_path: Path) -> None:
    folder, port = tmp_path / "s3", free_ports()
    server = seaweedfs_server(find_binary("seaweedfs"), folder, port, tmp_path / "log")
    process = await Process.start(server.program)
    findings = [finding async for finding in servers.check_seaweedfs(server.endpoint, folder)]
    await process.stop()
    assert [finding.level for finding in findings] == [Level.OK]


@pytest.mark.parametrize(
    ("version", "level"), [("6.0.5", Level.WARNING), ("8.0.15", Level.OK), ("9.1.0", Level.OK)]
)
def test_a_mongodb_past_its_end_of_life_is_a_warning(version: str, level: Level) -> None:
    finding = servers.check_mongodb_version(version, date(2026, 11, 28))
    assert finding.level is level


@pytest.mark.parametrize(("watches", "level"), [(100, Level.ERROR), (250, Level.WARNING), (1000, Level.OK)])
def test_folders_are_compared_with_the_inotify_limit(tmp_path: Path, watches: int, level: Level) -> None:
    for name, value in (
        ("max_user_watches", watches),
        ("max_user_instances", 128),
        ("max_queued_events", 16384),
    ):
        (tmp_path / name).write_text(f"{value}\n")
    assert next(host.check_inotify(200, limits=tmp_path)).level is level

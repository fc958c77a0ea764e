"""`tagify doctor` with real servers, and with unreachable ones."""

import asyncio
from pathlib import Path

import pytest

from tagify.cli.main import main
from tagify.doctor import host
from tagify.doctor.finding import Level
from tests.conftest import Values


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


@pytest.mark.parametrize(("watches", "level"), [(100, Level.ERROR), (250, Level.WARNING), (1000, Level.OK)])
def test_folders_are_compared_with_the_inotify_limit(tmp_path: Path, watches: int, level: Level) -> None:
    for name, value in (
        ("max_user_watches", watches),
        ("max_user_instances", 128),
        ("max_queued_events", 16384),
    ):
        (tmp_path / name).write_text(f"{value}\n")
    assert next(host.check_inotify(200, tmp_path)).level is level

"""Which folders `tagify up` takes as its data folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tagify.up.data_dir import MARKER, DataDir, DataDirError


def _empty(_: Path) -> None:
    pass


def _new_file_system(folder: Path) -> None:
    (folder / "lost+found").mkdir()


def _marked(folder: Path) -> None:
    (folder / MARKER).touch()
    (folder / "anything").touch()


def _unfinished_run_of_an_older_release(folder: Path) -> None:
    (folder / "lock").touch()
    (folder / "sample-library").mkdir()
    (folder / "roots.json").write_text("[]")


def _data_of_an_older_release(folder: Path) -> None:
    for name in ("mongo", "s3", "nginx", "logs", "cache"):
        (folder / name).mkdir()
    (folder / "lock").touch()
    (folder / "ports.json").write_text('{"mongod": 1, "weed": 2, "edge": 3, "ingest": 4}')


def _no_lock(folder: Path) -> None:
    (folder / "ports.json").write_text('{"mongod": 1, "weed": 2, "edge": 3, "ingest": 4}')


def _lock_of_another_program(folder: Path) -> None:
    (folder / "lock").write_text("4711")
    (folder / "roots.json").write_text("[]")


def _other_ports(folder: Path) -> None:
    (folder / "lock").touch()
    (folder / "ports.json").write_text('["ingest", "edge"]')


def _nginx_alone(folder: Path) -> None:
    (folder / "nginx").mkdir()


@pytest.mark.parametrize(
    "prepare",
    [_empty, _new_file_system, _marked, _unfinished_run_of_an_older_release, _data_of_an_older_release],
)
def test_empty_folders_and_data_folders_are_used_and_marked(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path)
    DataDir(tmp_path).lock()
    assert (tmp_path / MARKER).is_file()


@pytest.mark.parametrize("prepare", [_no_lock, _lock_of_another_program, _other_ports, _nginx_alone])
def test_other_folders_are_refused_and_left_alone(tmp_path: Path, prepare: Callable[[Path], None]) -> None:
    prepare(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(DataDirError, match="not Tagify's"):
        DataDir(tmp_path).lock()
    assert sorted(tmp_path.iterdir()) == before

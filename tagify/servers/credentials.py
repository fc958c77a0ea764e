"""Credentials of the embedded servers: made once, kept for their owner's eyes in the data folder."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def token() -> str:
    """A new password."""
    return secrets.token_urlsafe(24)


def remembered(path: Path, make: Callable[[], dict[str, str]]) -> dict[str, str]:
    """What the file holds; on the first call what `make` makes, kept with mode 0600."""
    if path.exists():
        kept: dict[str, str] = json.loads(path.read_text())
        return kept
    made = make()
    write_private(path, json.dumps(made))
    return made


def write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(path.name + ".new")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:  # noqa: PTH123
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)

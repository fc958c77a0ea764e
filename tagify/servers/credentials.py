"""Credentials of the embedded servers: generated once, stored in the data folder with mode 0600."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def generate_password() -> str:
    """Return a random password of 24 bytes, URL-safe."""
    return secrets.token_urlsafe(24)


def load_or_create(path: Path, create: Callable[[], dict[str, str]]) -> dict[str, str]:
    """Return the JSON object in the file; if there is none, store what `create` returns."""
    if path.exists():
        stored: dict[str, str] = json.loads(path.read_text())
        return stored
    created = create()
    write_private_file(path, json.dumps(created))
    return created


def write_private_file(path: Path, text: str) -> None:
    """Write a file with mode 0600 atomically: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(path.name + ".new")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:  # noqa: PTH123
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)

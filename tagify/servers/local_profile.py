"""The settings that `tagify up` gave its services, kept for those who look after them."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tagify.servers.credentials import write_private

_NAME = "environment.json"


def save_profile(folder: Path, environment: Mapping[str, str]) -> None:
    """Write the variables, passwords among them, for their owner's eyes only."""
    write_private(folder / _NAME, json.dumps(dict(environment), indent=1))


def load_profile(folder: Path) -> None:
    """Take over the variables of the last run on this data folder, where the environment names no MongoDB.

    Nothing changes where there was no run.
    """
    if "TAGIFY_MONGO_URI" in os.environ:
        return
    with suppress(FileNotFoundError, NotADirectoryError):
        os.environ.update(json.loads((folder / _NAME).read_text()))

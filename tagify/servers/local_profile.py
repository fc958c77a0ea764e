"""The local profile: the settings `tagify up` ran its services with, saved for the other commands."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tagify.servers.credentials import write_private_file

_FILE_NAME = "environment.json"


def save_profile(data_dir: Path, environment: Mapping[str, str]) -> None:
    """Save the variables with mode 0600: they include passwords."""
    write_private_file(data_dir / _FILE_NAME, json.dumps(dict(environment), indent=1))


def load_profile(data_dir: Path) -> None:
    """Set the environment to the profile of this data folder, unless it names a MongoDB already.

    Does nothing if there is no profile.
    """
    if "TAGIFY_MONGO_URI" in os.environ:
        return
    with suppress(FileNotFoundError, NotADirectoryError):
        os.environ.update(json.loads((data_dir / _FILE_NAME).read_text()))

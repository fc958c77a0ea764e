"""The environment as settings: read, checked, and told off where it makes no sense.

A variable counts before the same name in the file that TAGIFY_SETTINGS_FILE names, and that
before a credential of systemd of that name (in small letters, as files are named).
"""

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError

from tagify.errors import SettingsError
from tagify.settings.api import ApiSettings
from tagify.settings.common import PREFIX, CommonSettings
from tagify.settings.edge import EdgeSettings
from tagify.settings.ingest import IngestSettings
from tagify.settings.nginx import NginxSettings

S = TypeVar("S", bound=CommonSettings)

SERVICES: tuple[type[CommonSettings], ...] = (IngestSettings, ApiSettings, EdgeSettings, NginxSettings)

FILE = f"{PREFIX}SETTINGS_FILE"
"""The variable that names a file of variables."""


def load(model: type[S]) -> S:
    """A service's settings from the environment of this process, its file and its credentials.

    Raises SettingsError with one line for each mistake, unknown names included.
    """
    given = _credentials(os.environ) | _written(os.environ.get(FILE, ""))
    problems = unknown_variables([*os.environ, *given])
    try:
        settings = model(**_fields(model, given))
    except ValidationError as error:
        problems += [
            _mistake(item["loc"], item["msg"])
            for item in error.errors(include_url=False, include_input=False)
        ]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def variable_names() -> frozenset[str]:
    """The variables of all services, in capitals with their prefix."""
    return frozenset(PREFIX + name.upper() for model in SERVICES for name in model.model_fields)


def unknown_variables(names: Iterable[str]) -> list[str]:
    """One line for each `TAGIFY_` variable that no service knows, with the nearest known name."""
    known = variable_names()
    lines = []
    for name in sorted(filter(_is_ours, set(names))):
        if name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            lines.append(f"{name}: unknown setting" + (f"; did you mean {near[0]}?" if near else ""))
    return lines


def _mistake(place: Sequence[int | str], message: str) -> str:
    """A line about one variable, or about several that do not go together."""
    return f"{PREFIX}{str(place[0]).upper()}: {message}" if place else message


def _written(file: str) -> dict[str, str]:
    """The variables of a settings file; none where no file is named. Raises SettingsError."""
    if not file:
        return {}
    try:
        with Path(file).open(encoding="utf-8") as lines:
            return {
                name: value or "" for name, value in dotenv_values(stream=lines, interpolate=False).items()
            }
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{FILE}: {file} cannot be read: {error}") from error


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables among the credentials that systemd passes to this service (LoadCredential=)."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    files = Path(folder).iterdir() if folder else ()
    return {file.name.upper(): file.read_text().strip() for file in files if _is_ours(file.name)}


def _fields(model: type[S], given: Mapping[str, str]) -> dict[str, Any]:
    """What was given for this model's fields where the environment says nothing."""
    said = {name.upper() for name, value in os.environ.items() if value}
    values = {name: given.get(PREFIX + name.upper(), "") for name in model.model_fields}
    return {name: value for name, value in values.items() if value and PREFIX + name.upper() not in said}


def _is_ours(name: str) -> bool:
    return name.upper().startswith(PREFIX)

"""Load and validate settings from environment variables, a settings file and systemd credentials.

Precedence: environment variable, then the file that TAGIFY_SETTINGS_FILE names, then the systemd
credential of that name in lower case.
"""

import difflib
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

from dotenv import dotenv_values
from pydantic import ValidationError

from tagify import __version__
from tagify.errors import SettingsError
from tagify.logs import fields
from tagify.settings.api import ApiSettings
from tagify.settings.common import PREFIX, CommonSettings
from tagify.settings.edge import EdgeSettings
from tagify.settings.file_version import is_for_newer
from tagify.settings.ingest import IngestSettings
from tagify.settings.nginx import NginxSettings

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=CommonSettings)

SERVICES: tuple[type[CommonSettings], ...] = (IngestSettings, ApiSettings, EdgeSettings, NginxSettings)

SETTINGS_FILE_VARIABLE = f"{PREFIX}SETTINGS_FILE"
"""The variable that names the settings file."""


def load(model: type[S]) -> S:
    """Load the settings of a service from the environment, the settings file and the credentials.

    Raises SettingsError with one line per invalid or unknown variable. Unknown variables of a settings file
    for a newer release are logged and ignored.
    """
    path = os.environ.get(SETTINGS_FILE_VARIABLE, "")
    text = _read_settings_file(path)
    from_file = _parse_settings_file(text)
    problems = unknown_variables([*os.environ, *_credentials(os.environ)])
    unknown_in_file = unknown_variables(from_file)
    if is_for_newer(text, __version__):
        for problem in unknown_in_file:
            logger.warning("setting of a newer release ignored: %s", problem, extra=fields(file=path))
    else:
        problems += unknown_in_file
    file_values = _credentials(os.environ) | from_file
    try:
        settings = model(**_field_values(model, file_values))
    except ValidationError as error:
        problems += [
            _format_error(item["loc"], item["msg"])
            for item in error.errors(include_url=False, include_input=False)
        ]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def variable_names() -> frozenset[str]:
    """Return the variables of all services, in upper case with the prefix."""
    return frozenset(PREFIX + name.upper() for model in SERVICES for name in model.model_fields)


def unknown_variables(names: Iterable[str]) -> list[str]:
    """Return one line per `TAGIFY_` variable that no service has, with the most similar name."""
    known = variable_names()
    lines = []
    for name in sorted(filter(_has_prefix, set(names))):
        if name.upper() not in known:
            suggestion = difflib.get_close_matches(name.upper(), known, n=1)
            lines.append(
                f"{name}: unknown setting" + (f"; did you mean {suggestion[0]}?" if suggestion else "")
            )
    return lines


def _format_error(location: Sequence[int | str], message: str) -> str:
    """Format a validation error of one variable, or of a combination of them."""
    return f"{PREFIX}{str(location[0]).upper()}: {message}" if location else message


def _read_settings_file(file: str) -> str:
    """Return the text of a settings file; empty if `file` is empty. Raises SettingsError."""
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{SETTINGS_FILE_VARIABLE}: {file} cannot be read: {error}") from error


def _parse_settings_file(text: str) -> dict[str, str]:
    """Return the variables of a settings file."""
    values = dotenv_values(stream=StringIO(text), interpolate=False)
    return {name: value or "" for name, value in values.items()}


def _credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings among the credentials passed by systemd (LoadCredential=)."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    files = Path(folder).iterdir() if folder else ()
    return {file.name.upper(): file.read_text().strip() for file in files if _has_prefix(file.name)}


def _field_values(model: type[S], file_values: Mapping[str, str]) -> dict[str, Any]:
    """Return the given values of this model's fields, except those set in the environment."""
    set_variables = {name.upper() for name, value in os.environ.items() if value}
    values = {name: file_values.get(PREFIX + name.upper(), "") for name in model.model_fields}
    return {
        name: value for name, value in values.items() if value and PREFIX + name.upper() not in set_variables
    }


def _has_prefix(name: str) -> bool:
    return name.upper().startswith(PREFIX)

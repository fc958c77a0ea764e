"""The environment as settings: read, checked, and told off where it makes no sense."""

import difflib
import os
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from tagify.errors import SettingsError
from tagify.settings.api import ApiSettings
from tagify.settings.common import PREFIX, CommonSettings
from tagify.settings.edge import EdgeSettings
from tagify.settings.ingest import IngestSettings

S = TypeVar("S", bound=CommonSettings)

SERVICES: tuple[type[CommonSettings], ...] = (IngestSettings, ApiSettings, EdgeSettings)


def load(model: type[S]) -> S:
    """A service's settings from the environment of this process.

    Raises SettingsError with one line for each mistake, unknown names included.
    """
    problems = unknown_variables(os.environ)
    try:
        settings = model()
    except ValidationError as error:
        problems += [
            f"{PREFIX}{str(item['loc'][0]).upper()}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        ]
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def variable_names() -> frozenset[str]:
    """The variables of all services, in capitals with their prefix."""
    return frozenset(PREFIX + name.upper() for model in SERVICES for name in model.model_fields)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """One line for each `TAGIFY_` variable that no service knows, with the nearest known name."""
    known = variable_names()
    lines = []
    for name in sorted(
        name for name in environ if name.upper().startswith(PREFIX) and name.upper() not in known
    ):
        near = difflib.get_close_matches(name.upper(), known, n=1)
        lines.append(f"{name}: unknown setting" + (f"; did you mean {near[0]}?" if near else ""))
    return lines

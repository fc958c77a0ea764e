"""The settings of all services: one frozen model per service, read from `TAGIFY_` variables.

The services of a host share one settings file, so each of them checks the names of all settings:
a misspelt variable is an error in every service. The table in docs/settings.md is generated from
these models.
"""

from tagify.settings.api import ApiSettings
from tagify.settings.common import PREFIX, CommonSettings
from tagify.settings.edge import EdgeSettings
from tagify.settings.ingest import IngestSettings
from tagify.settings.loader import SERVICES, load, unknown_variables, variable_names
from tagify.settings.nginx import NginxSettings

__all__ = [
    "PREFIX",
    "SERVICES",
    "ApiSettings",
    "CommonSettings",
    "EdgeSettings",
    "IngestSettings",
    "NginxSettings",
    "load",
    "unknown_variables",
    "variable_names",
]

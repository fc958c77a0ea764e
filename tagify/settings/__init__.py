"""Every setting of every service: one frozen model for each, read from `TAGIFY_` variables.

The services share one environment file on a host, so all names live here: a misspelt
variable is an error in whichever service reads it first. The table in docs/settings.md is
checked against these models.
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

"""The settings file of a host: every setting with its description and default, commented out."""

import textwrap
from collections.abc import Collection, Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tagify import __version__
from tagify.deploy.install import paths
from tagify.settings import PREFIX, SERVICES, CommonSettings, NginxSettings
from tagify.settings.file_version import version_line

HEAD = """\
# Tagify's settings: one NAME=value per line. Defaults are commented out.
# After a change: tagify restart (drops no request); after a change of NGINX's settings: tagify install.
# Passwords are not here: they are in /etc/tagify/credentials, which only root can read.
"""

HOST_VALUES = {
    "ingest_disk_folders": str(paths.STATE),
    "edge_purge_url": f"http://127.0.0.1:{NginxSettings.model_fields['nginx_internal_port'].default}",
}
"""Settings whose value on a host with NGINX is not the default."""

CREDENTIAL_SETTINGS = ("mongo_uri", "s3_access_key", "s3_secret_key")
"""Settings that are stored as one credential file each."""


def render_settings_file() -> str:
    """Return the text of the settings file."""
    return "\n".join([version_line(__version__), HEAD, *_sections()])


def _sections() -> Iterator[str]:
    yield _section("Common to all", CommonSettings, ())
    for model in SERVICES:
        yield _section(model.__name__.removesuffix("Settings"), model, CommonSettings.model_fields.keys())


def _section(title: str, model: type[CommonSettings], excluded: Collection[str]) -> str:
    names = [name for name in model.model_fields if name not in excluded and name not in CREDENTIAL_SETTINGS]
    return "\n".join([f"## {title}\n", *(_setting(name, model.model_fields[name]) for name in names)])


def _setting(name: str, field: FieldInfo) -> str:
    meaning = textwrap.fill(field.description or "", 98, initial_indent="# ", subsequent_indent="# ")
    mark, value = ("", HOST_VALUES[name]) if name in HOST_VALUES else ("#", format_value(field.default))
    return f"{meaning}\n{mark}{PREFIX}{name.upper()}={value}\n"


def format_value(value: object) -> str:
    """Format a value as in an environment variable."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

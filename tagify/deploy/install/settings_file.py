"""The settings file of a host: every setting with its default and its meaning, commented out."""

import textwrap
from collections.abc import Collection, Iterator

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from tagify.settings import PREFIX, SERVICES, CommonSettings, NginxSettings

HEAD = """\
# Tagify's settings: one NAME=value a line. What is commented out is the default.
# After a change: tagify restart (drops no request), and tagify install for those of NGINX.
# Passwords do not belong here: they are in /etc/tagify/credentials, which root alone reads.
"""

HOST_VALUES = {
    "edge_purge_url": f"http://127.0.0.1:{NginxSettings.model_fields['nginx_internal_port'].default}",
}
"""Settings that are not the default on a host with NGINX in front."""

CREDENTIAL_SETTINGS = ("mongo_uri", "s3_access_key", "s3_secret_key")
"""Settings that lie in files of their own."""


def render_settings_file() -> str:
    """Its text."""
    return "\n".join([HEAD, *_sections()])


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
    """A value as it is written in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)

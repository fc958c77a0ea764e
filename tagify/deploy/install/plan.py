"""The steps that install and uninstall Tagify, in order."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from pathlib import Path

from tagify import __version__
from tagify.deploy.install import paths
from tagify.deploy.install.settings_file import CREDENTIAL_SETTINGS, format_value, render_settings_file
from tagify.deploy.install.steps import Absent, Command, File, Folder, InstallStep, Link, SettingsVersion
from tagify.deploy.nginx import render_files
from tagify.deploy.systemd import sysusers, units
from tagify.servers.mongod import SERVICE_ROLES
from tagify.settings import PREFIX, CommonSettings, NginxSettings

USER = "tagify"
OWNED = f"{USER}:{USER}"
READABLE = f"root:{USER}"

WRAPPER = f"""\
#!/bin/sh
# The tagify command with the settings of this host. Only root can read the credentials: use sudo.
export TAGIFY_SETTINGS_FILE=${{TAGIFY_SETTINGS_FILE:-{paths.SETTINGS}}}
export CREDENTIALS_DIRECTORY=${{CREDENTIALS_DIRECTORY:-{paths.CREDENTIALS}}}
exec {paths.CURRENT}/bin/tagify "$@"
"""


def host_steps(credentials: Mapping[str, str]) -> Iterator[InstallStep]:
    """Yield the steps for user, folders, settings and units. `credentials`: of the embedded servers."""
    yield File(paths.SYSUSERS, sysusers())
    yield Command(("systemd-sysusers", str(paths.SYSUSERS)), AnyChanged(paths.SYSUSERS))
    yield Folder(paths.ETC, 0o750, READABLE)
    yield Folder(paths.CREDENTIALS, 0o700)
    for name in CREDENTIAL_SETTINGS:
        path = paths.CREDENTIALS / f"{PREFIX}{name}".lower()
        default = format_value(CommonSettings.model_fields[name].default)
        yield File(path, credentials.get(name, default) + "\n", 0o600, keep=name not in credentials)
    yield from _service_credential_steps(credentials)
    yield File(paths.SETTINGS, render_settings_file(), 0o640, READABLE, keep=True)
    yield SettingsVersion(paths.SETTINGS, __version__)
    yield File(paths.EXAMPLE, render_settings_file(), 0o640, READABLE)
    yield Folder(paths.STATE, 0o700, OWNED)
    yield Link(paths.CURRENT, Path(sys.prefix))
    yield File(paths.COMMAND, WRAPPER, 0o755)
    for name, text in units().items():
        yield File(paths.UNITS / name, text)
    yield Command(("systemctl", "daemon-reload"), AnyChanged(paths.UNITS))


def _service_credential_steps(credentials: Mapping[str, str]) -> Iterator[InstallStep]:
    """Yield the steps for the MongoDB URI of each service: the common one, unless it has its own."""
    name = f"{PREFIX}mongo_uri".lower()
    for service in SERVICE_ROLES:
        path = paths.CREDENTIALS / service / name
        yield Folder(path.parent, 0o700)
        if uri := credentials.get(f"{service}/mongo_uri"):
            yield File(path, uri + "\n", 0o600)
        else:
            yield Link(path, paths.CREDENTIALS / name, keep=True)


def nginx_steps(settings: NginxSettings) -> Iterator[InstallStep]:
    """Yield the steps for NGINX's site. NGINX must be installed."""
    for name, text in render_files(paths.NGINX, settings).items():
        yield File(paths.NGINX / name, text)
    yield Folder(Path(settings.nginx_cache_dir), 0o700, "www-data:root")
    if settings.nginx_server_name == "_" and paths.DEFAULT_SITE.is_symlink():
        yield Absent(paths.DEFAULT_SITE)
    yield Link(paths.SITE, paths.NGINX / "tagify.conf")
    yield from _activate_nginx_steps()


def _activate_nginx_steps() -> Iterator[InstallStep]:
    changed = AnyChanged(paths.NGINX, paths.SITE, paths.DEFAULT_SITE)
    yield Command(("nginx", "-t", "-q"), changed)
    yield Command(("systemctl", "enable", "--quiet", "nginx.service"), changed)
    yield Command(("systemctl", "reload-or-restart", "nginx.service"), changed)


def service_instances(settings: NginxSettings) -> Sequence[str]:
    """Return the service units of NGINX's upstreams: `unix:/run/tagify/api-1.sock` is tagify-api@1."""
    matches = [re.search(r"/run/tagify/(api|edge)-(\w+)\.sock$", address) for address in _upstreams(settings)]
    return [f"tagify-{match[1]}@{match[2]}" for match in matches if match]


def _upstreams(settings: NginxSettings) -> Sequence[str]:
    return (*settings.nginx_edge, *settings.nginx_api)


def enable_steps(settings: NginxSettings, servers: Sequence[str]) -> Iterator[InstallStep]:
    """Yield the step that enables the units at boot. `servers`: units of the embedded servers to enable."""
    names = ["tagify.target", *servers, "tagify-ingest.socket", "tagify-ingest.service"]
    names.append("tagify-maintenance.timer")
    for instance in service_instances(settings):
        names += [f"{instance}.socket", f"{instance}.service"]
    to_enable = [name for name in names if not _is_enabled(name)]
    if to_enable:
        yield Command(("systemctl", "enable", "--quiet", *to_enable), lambda _: True)


def removal_steps() -> Iterator[InstallStep]:
    """Yield the steps that remove everything but settings, data and the user."""
    present = sorted(path.name for path in paths.UNITS.glob("tagify*") if path.is_file())
    plain = [name for name in present if "@" not in name]
    running = [*plain, *(name.replace("@.", "@*.") for name in present if "@" in name)]
    enabled = sorted(path.name for path in paths.UNITS.glob("*.wants/tagify*"))
    yield Command(("systemctl", "stop", *running), lambda _: bool(present))
    yield Command(("systemctl", "disable", "--quiet", *enabled), lambda _: bool(enabled))
    for name in present:
        yield Absent(paths.UNITS / name)
    for path in (paths.SYSUSERS, paths.COMMAND, paths.CODE):
        yield Absent(path)
    yield Command(("systemctl", "daemon-reload"), AnyChanged(paths.UNITS))
    for path in (paths.SITE, paths.NGINX):
        yield Absent(path)
    yield Command(("systemctl", "reload-or-restart", "nginx.service"), AnyChanged(paths.SITE))


def _is_enabled(name: str) -> bool:
    return any(paths.UNITS.glob(f"*.wants/{name}"))


class AnyChanged:
    """Condition of a Command: an earlier step of this run changed one of the paths, or a path below."""

    def __init__(self, *paths: Path) -> None:
        self._paths = paths

    def __call__(self, changed: Set[Path]) -> bool:
        return any(path == one or path in one.parents for one in changed for path in self._paths)

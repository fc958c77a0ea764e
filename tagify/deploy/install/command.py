"""The commands `tagify install`, `uninstall` and `restart`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagify.deploy.install import paths, servers
from tagify.deploy.install.plan import (
    USER,
    enable_steps,
    host_steps,
    nginx_steps,
    removal_steps,
    service_instances,
)
from tagify.deploy.install.rolling_restart import rolling_restart as restart_all
from tagify.deploy.install.steps import Absent, Command, File, InstallError, apply_steps
from tagify.deploy.systemd import sysusers
from tagify.settings import NginxSettings, load
from tagify.settings.loader import SETTINGS_FILE_VARIABLE

RELEASES_KEPT = 2
"""The running release and the previous one."""


def install(*, dry_run: bool, with_servers: bool, start: bool) -> int:
    """Install the release that this command belongs to; returns 0. Raises TagifyError.

    Idempotent: a second run changes nothing. Another release is an upgrade, by rolling restart.
    """
    if not dry_run:
        _check_host()
    previous_release = paths.CURRENT.readlink() if paths.CURRENT.is_symlink() else None
    credentials = _prepare_servers() if with_servers and not dry_run else {}
    done = apply_steps(host_steps(credentials), dry_run=dry_run)
    settings = _load_settings()
    if shutil.which("nginx") or dry_run:
        done += apply_steps(nginx_steps(settings), dry_run=dry_run)
    done += apply_steps(enable_steps(settings, servers.UNITS if with_servers else ()), dry_run=dry_run)
    if start and not dry_run:
        _start_services(
            settings, upgraded=previous_release is not None and previous_release != Path(sys.prefix)
        )
    print("nothing to do" if not done else f"{done} steps")
    return 0


def uninstall(*, dry_run: bool) -> int:
    """Remove Tagify from this host except settings, data and the user; returns 0. Raises InstallError."""
    if not dry_run:
        _check_root()
    apply_steps(removal_steps(), dry_run=dry_run)
    print(f"kept: {paths.ETC}, {paths.STATE}, /var/cache/tagify, NGINX's cache, the user {USER}")
    return 0


def restart() -> int:
    """Restart all services one by one; returns 0. Raises InstallError."""
    _check_root()
    restart_all(service_instances(_load_settings()))
    return 0


def _start_services(settings: NginxSettings, *, upgraded: bool) -> None:
    apply_steps(
        [Command(("systemctl", "start", "tagify.target"), lambda _: not _is_active("tagify.target"))],
        dry_run=False,
    )
    if upgraded:
        restart_all(service_instances(settings))
    apply_steps([Absent(path) for path in _old_releases()], dry_run=False)


def _is_active(unit: str) -> bool:
    command = ("systemctl", "is-active", "--quiet", unit)
    return not subprocess.run(command, check=False).returncode  # noqa: S603


def _old_releases() -> Sequence[Path]:
    releases = sorted(path for path in paths.RELEASES.glob("*") if path != Path(sys.prefix))
    return releases[: 1 - RELEASES_KEPT]


def _prepare_servers() -> Mapping[str, str]:
    """Create the user and the folders of the embedded servers; returns their credentials."""
    user = File(paths.SYSUSERS, sysusers())
    apply_steps([user, Command(("systemd-sysusers", str(paths.SYSUSERS)), bool)], dry_run=False)
    credentials = servers.prepare_servers(USER)
    if _is_active(servers.MONGO_UNIT):
        servers.create_mongo_users()
    return credentials


def _load_settings() -> NginxSettings:
    if paths.SETTINGS.is_file():
        os.environ.setdefault(SETTINGS_FILE_VARIABLE, str(paths.SETTINGS))
    return load(NginxSettings)


def _check_root() -> None:
    if os.geteuid() != 0:
        raise InstallError("this command changes the host: run it with sudo, or with --dry-run")


def _check_host() -> None:
    _check_root()
    if not Path("/run/systemd/system").is_dir():
        raise InstallError("systemd is not running on this host")
    if paths.RELEASES not in Path(sys.prefix).parents:
        raise InstallError(f"this Python is not in {paths.RELEASES}: use `make install`")
    python = Path(sys.executable).resolve()
    inaccessible = [folder for folder in python.parents if not folder.stat().st_mode & 0o001]
    if inaccessible:
        raise InstallError(
            f"the user {USER} has no access to {inaccessible[-1]}, which contains this Python: "
            "make install PYTHON=/usr/bin/python3"
        )

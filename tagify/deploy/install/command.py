"""`tagify install`, `uninstall` and `restart`."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tagify.deploy.install import paths, servers
from tagify.deploy.install.plan import USER, enabling, host_steps, instances, nginx_steps, removal
from tagify.deploy.install.rolling_restart import restart as restart_all
from tagify.deploy.install.steps import Absent, File, InstallError, Run, carry_out
from tagify.deploy.systemd import sysusers
from tagify.settings import NginxSettings, load
from tagify.settings.loader import FILE

RELEASES_KEPT = 2
"""The one that runs, and the one before it."""


def install(*, dry_run: bool, own_servers: bool, start: bool) -> int:
    """Make this host run the release that this very command belongs to; 0. Raises TagifyError.

    A second run changes nothing; one of another release upgrades, without a dropped request.
    """
    if not dry_run:
        _check_host()
    before = paths.CURRENT.readlink() if paths.CURRENT.is_symlink() else None
    credentials = _own_servers() if own_servers and not dry_run else {}
    done = carry_out(host_steps(credentials), dry_run=dry_run)
    settings = _settings()
    if shutil.which("nginx") or dry_run:
        done += carry_out(nginx_steps(settings), dry_run=dry_run)
    done += carry_out(enabling(settings, servers.UNITS if own_servers else ()), dry_run=dry_run)
    if start and not dry_run:
        _run(settings, upgraded=before is not None and before != Path(sys.prefix))
    print("nothing to do" if not done else f"{done} steps")
    return 0


def uninstall(*, dry_run: bool) -> int:
    """Take Tagify off this host, but for settings, data and the user; 0. Raises InstallError."""
    if not dry_run:
        _check_root()
    carry_out(removal(), dry_run=dry_run)
    print(f"kept: {paths.ETC}, {paths.STATE}, /var/cache/tagify, NGINX's cache, the user {USER}")
    return 0


def restart() -> int:
    """Restart all services, one after the other; 0. Raises InstallError."""
    _check_root()
    restart_all(instances(_settings()))
    return 0


def _run(settings: NginxSettings, *, upgraded: bool) -> None:
    carry_out([Run(("systemctl", "start", "tagify.target"), lambda _: not _is_active())], dry_run=False)
    if upgraded:
        restart_all(instances(settings))
    carry_out([Absent(path) for path in _old_releases()], dry_run=False)


def _is_active() -> bool:
    asked = ("systemctl", "is-active", "--quiet", "tagify.target")
    return not subprocess.run(asked, check=False).returncode  # noqa: S603


def _old_releases() -> Sequence[Path]:
    releases = sorted(path for path in paths.RELEASES.glob("*") if path != Path(sys.prefix))
    return releases[: 1 - RELEASES_KEPT]


def _own_servers() -> Mapping[str, str]:
    """Their settings; the user that they belong to is there after this."""
    user = File(paths.SYSUSERS, sysusers())
    carry_out([user, Run(("systemd-sysusers", str(paths.SYSUSERS)), bool)], dry_run=False)
    return servers.prepare(USER)


def _settings() -> NginxSettings:
    if paths.SETTINGS.is_file():
        os.environ.setdefault(FILE, str(paths.SETTINGS))
    return load(NginxSettings)


def _check_root() -> None:
    if os.geteuid() != 0:
        raise InstallError("this changes the host: run it with sudo, or with --dry-run")


def _check_host() -> None:
    _check_root()
    if not Path("/run/systemd/system").is_dir():
        raise InstallError("this host is not run by systemd")
    if paths.RELEASES not in Path(sys.prefix).parents:
        raise InstallError(f"this Python is not one of {paths.RELEASES}: use `make install`")
    python = Path(sys.executable).resolve()
    closed = [place for place in python.parents if not place.stat().st_mode & 0o001]
    if closed:
        raise InstallError(
            f"the user {USER} may not enter {closed[-1]}, where this Python lies: "
            "make install PYTHON=/usr/bin/python3"
        )

"""Restarts services one after the other, each once the one before is ready: nobody notices."""

import subprocess
from collections.abc import Sequence

from tagify.deploy.install.steps import InstallError


def rolling_restart(instances: Sequence[str]) -> None:
    """Restart the daemon and these instances. Raises InstallError at the first that does not get ready."""
    for unit in ("tagify-ingest", *instances):
        print(f"restarting {unit}", flush=True)
        done = subprocess.run(  # noqa: S603
            ("systemctl", "restart", f"{unit}.service"),  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise InstallError(f"{unit} did not get ready; those after it run on: {done.stderr.strip()}")

"""Rolling restart: one service at a time, the next once it is ready. No request is dropped."""

import subprocess
from collections.abc import Sequence

from tagify.deploy.install.steps import InstallError


def rolling_restart(instances: Sequence[str]) -> None:
    """Restart ingest, then the instances. Raises InstallError at the first that does not become ready."""
    for unit in ("tagify-ingest", *instances):
        print(f"restarting {unit}", flush=True)
        completed = subprocess.run(  # noqa: S603
            ("systemctl", "restart", f"{unit}.service"),  # noqa: S607
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode:
            raise InstallError(
                f"{unit} did not become ready; later units were not restarted: {completed.stderr.strip()}"
            )

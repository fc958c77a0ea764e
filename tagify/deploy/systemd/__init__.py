"""The systemd units that run Tagify on a host, in `units/`."""

from collections.abc import Mapping
from pathlib import Path

UNITS = Path(__file__).parent / "units"


def units() -> Mapping[str, str]:
    """Return the text of each unit, by file name."""
    return {path.name: path.read_text() for path in sorted(UNITS.glob("tagify*"))}


def sysusers() -> str:
    """Return the definition of the system user that all units run as (sysusers.d(5))."""
    return (UNITS / "sysusers.conf").read_text()

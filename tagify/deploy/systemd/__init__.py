"""The units that run Tagify on a host: files of systemd, in `units/`."""

from collections.abc import Mapping
from pathlib import Path

UNITS = Path(__file__).parent / "units"


def units() -> Mapping[str, str]:
    """The text of each unit by its name."""
    return {path.name: path.read_text() for path in sorted(UNITS.glob("tagify*"))}


def sysusers() -> str:
    """The system user that everything runs as (sysusers.d(5))."""
    return (UNITS / "sysusers.conf").read_text()

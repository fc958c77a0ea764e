"""Paths of an installed host."""

from pathlib import Path

ETC = Path("/etc/tagify")
SETTINGS = ETC / "tagify.env"
EXAMPLE = ETC / "tagify.env.example"
CREDENTIALS = ETC / "credentials"
STATE = Path("/var/lib/tagify")
CODE = Path("/opt/tagify")
CURRENT = CODE / "current"
RELEASES = CODE / "releases"
UNITS = Path("/etc/systemd/system")
SYSUSERS = Path("/usr/lib/sysusers.d/tagify.conf")
COMMAND = Path("/usr/local/bin/tagify")
NGINX = Path("/etc/nginx/tagify")
SITE = Path("/etc/nginx/sites-enabled/tagify.conf")
DEFAULT_SITE = Path("/etc/nginx/sites-enabled/default")
"""Debian's default site: removed, since it answers on port 80, too."""

"""Installation on a host: systemd units, NGINX configuration, install steps."""

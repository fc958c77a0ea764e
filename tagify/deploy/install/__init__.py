"""`tagify install` and `uninstall`: Tagify on a Debian host, under systemd and behind NGINX."""

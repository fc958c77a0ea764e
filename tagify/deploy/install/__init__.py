"""`tagify install`: a Debian host made to run Tagify by systemd behind NGINX, and made to forget it."""

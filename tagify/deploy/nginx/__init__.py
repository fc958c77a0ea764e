"""NGINX's configuration, rendered from the settings: for a host and for `tagify up`."""

from tagify.deploy.nginx.render import render, render_files

__all__ = ["render", "render_files"]

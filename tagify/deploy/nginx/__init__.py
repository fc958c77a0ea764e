"""The configuration of NGINX: written from the settings, for a host as for `tagify up`."""

from tagify.deploy.nginx.render import render, render_files

__all__ = ["render", "render_files"]

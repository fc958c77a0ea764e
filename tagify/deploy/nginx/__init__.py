"""The configuration of NGINX: written from the settings, for a host as for `tagify up`."""

from tagify.deploy.nginx.render import render, rendered

__all__ = ["render", "rendered"]

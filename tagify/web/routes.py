"""Routes by name: what metrics and logs may call a request."""

from aiohttp import web


def route_of(request: web.Request) -> str:
    """The route's pattern: a label with as many values as there are routes."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"

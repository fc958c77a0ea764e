"""Route patterns as labels for metrics and logs."""

from aiohttp import web


def route_pattern(request: web.Request) -> str:
    """The pattern of the request's route, `none` without one: a label with a bounded set of values."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "none"

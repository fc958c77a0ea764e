"""An application with what all services share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from tagify.metrics import Histogram, Metrics
from tagify.web.cors import Cors
from tagify.web.health import Check, add_health
from tagify.web.instrumentation import measured, name_request
from tagify.web.problems import problems
from tagify.web.request_limits import sized

METRICS: Final = web.AppKey("metrics", Metrics)
REQUEST_SECONDS: Final = web.AppKey("request_seconds", Histogram)
"""For what answers before the middlewares do."""

Door = Callable[[web.BaseRequest], web.StreamResponse | None]
DOOR: Final[web.AppKey[Door]] = web.AppKey("door")
"""Asked before a route is looked for; None leaves the answer to the routes.

What answers there is its own in all: no middleware, no problem page, no signal of the application.
"""


def new_app(
    metrics: Metrics,
    checks: Mapping[str, Check],
    *,
    cors_origins: Sequence[str] = (),
    max_body: int = 1 << 20,
    more: Sequence[Middleware] = (),
) -> web.Application:
    """An application with what all services share: ids, metrics, problems, sizes, CORS, health pages.

    `more` are the service's own middlewares, whose errors leave as problems too.
    """
    seconds = metrics.histogram("http_request_seconds", "Time to answer, by route and status class.")
    in_flight = metrics.gauge("http_requests_in_flight", "Requests that are being answered.")
    middlewares: list[Middleware] = [measured(seconds, in_flight), problems, sized(max_body), *more]
    cors = Cors(cors_origins)
    if cors_origins:
        middlewares.insert(1, cors.preflight)
    app = web.Application(middlewares=middlewares, client_max_size=max_body)
    app.on_response_prepare.append(name_request)
    if cors_origins:
        app.on_response_prepare.append(cors.allow)
    app[METRICS] = metrics
    app[REQUEST_SECONDS] = seconds
    add_health(app, metrics, checks)
    return app

"""The aiohttp application that every service starts from."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from tagify.concurrency.task_supervisor import TaskSupervisor
from tagify.metrics import Histogram, Metrics
from tagify.web.allowed_hosts import AllowedHosts, check_host
from tagify.web.client_address import Network
from tagify.web.cors import Cors
from tagify.web.csrf import reject_cross_site
from tagify.web.health import Check, add_health_routes
from tagify.web.instrumentation import SlowRequests, add_request_id, instrument_requests
from tagify.web.problems import problem_middleware
from tagify.web.request_limits import limit_request_size
from tagify.web.resource_metrics import add_process_metrics

METRICS: Final = web.AppKey("metrics", Metrics)
TASKS: Final = web.AppKey("tasks", TaskSupervisor)
"""The supervisor of the process's background tasks; the process exits when one has a fatal failure."""
REQUEST_SECONDS: Final = web.AppKey("request_seconds", Histogram)
"""The request histogram, for handlers that answer before the middlewares run."""

FastPathHandler = Callable[[web.BaseRequest], web.StreamResponse | None]
FAST_PATH: Final[web.AppKey[FastPathHandler]] = web.AppKey("fast_path")
"""Handler called before routing; None passes the request on to the routes.

Its responses bypass the application: no middleware, no problem page, no signal runs.
"""


def new_app(
    metrics: Metrics,
    checks: Mapping[str, Check],
    *,
    cors_origins: Sequence[str] = (),
    allowed_hosts: AllowedHosts | None = None,
    trusted_proxies: Sequence[Network] = (),
    slow_request_s: float = math.inf,
    max_body: int = 1 << 20,
    service_middlewares: Sequence[Middleware] = (),
) -> web.Application:
    """An application with request ids, metrics, problems, size limits, CORS and health endpoints.

    `allowed_hosts`: None for a service without pages and data. `max_body` is in bytes. Requests that take
    longer than `slow_request_s` seconds are logged.
    `service_middlewares` run innermost; their errors become problems too.
    """
    seconds = metrics.histogram(
        "tagify_http_request_seconds",
        "Time to answer, by method, route and status class.",
        old="http_request_seconds",
        old_without=("method",),
    )
    in_flight = metrics.gauge(
        "tagify_http_requests_in_flight", "Requests being processed.", old="http_requests_in_flight"
    )
    add_process_metrics(metrics)
    middlewares: list[Middleware] = [
        instrument_requests(seconds, in_flight, SlowRequests(metrics, slow_request_s)),
        problem_middleware,
        *([check_host(allowed_hosts, trusted_proxies)] if allowed_hosts else []),
        reject_cross_site(cors_origins, trusted_proxies),
        limit_request_size(max_body),
        *service_middlewares,
    ]
    cors = Cors(cors_origins)
    if cors_origins:
        middlewares.insert(1, cors.preflight)
    app = web.Application(middlewares=middlewares, client_max_size=max_body)
    app.on_response_prepare.append(add_request_id)
    if cors_origins:
        app.on_response_prepare.append(cors.add_headers)
    app[METRICS] = metrics
    app[TASKS] = TaskSupervisor(metrics)
    app[REQUEST_SECONDS] = seconds
    add_health_routes(app, metrics, checks)
    return app

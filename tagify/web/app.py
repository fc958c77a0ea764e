"""An application with what all services share."""

from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from tagify.metrics import Metrics
from tagify.web.cors import cors
from tagify.web.health import Check, add_health
from tagify.web.measuring import measured
from tagify.web.problems import problems

METRICS: Final = web.AppKey("metrics", Metrics)


def new_app(
    metrics: Metrics,
    checks: Mapping[str, Check],
    *,
    cors_origins: Sequence[str] = (),
    max_body: int = 1 << 20,
) -> web.Application:
    """An application with what all services share: ids, metrics, problems, CORS, health pages."""
    middlewares: list[Middleware] = [measured(metrics), problems]
    if cors_origins:
        middlewares.insert(1, cors(cors_origins))
    app = web.Application(middlewares=middlewares, client_max_size=max_body)
    app[METRICS] = metrics
    add_health(app, metrics, checks)
    return app

"""HTTP as all services speak it: JSON, problems, request ids, CORS, health and metrics pages."""

from tagify.web.app import DOOR, METRICS, REQUEST_SECONDS, Door, new_app
from tagify.web.client_address import Network, client_of
from tagify.web.etags import is_known
from tagify.web.health import READINESS, Check, Readiness
from tagify.web.instrumentation import UNTIMED
from tagify.web.json import json_response, query_int, read_json
from tagify.web.json_body import JsonBody
from tagify.web.problems import problem_response
from tagify.web.raw_response import Prebuilt, head_of
from tagify.web.request_ids import REQUEST_ID, accepted
from tagify.web.routes import route_of

__all__ = [
    "DOOR",
    "METRICS",
    "READINESS",
    "REQUEST_ID",
    "REQUEST_SECONDS",
    "UNTIMED",
    "Check",
    "Door",
    "JsonBody",
    "Network",
    "Prebuilt",
    "Readiness",
    "accepted",
    "client_of",
    "head_of",
    "is_known",
    "json_response",
    "new_app",
    "problem_response",
    "query_int",
    "read_json",
    "route_of",
]

"""HTTP code shared by all services: JSON, problems, request ids, CORS, health and metrics endpoints."""

from tagify.web.allowed_hosts import AllowedHosts, allowed_hosts
from tagify.web.app import FAST_PATH, METRICS, REQUEST_SECONDS, TASKS, FastPathHandler, new_app
from tagify.web.client_address import Network, client_address, parse_address
from tagify.web.etags import etag_matches
from tagify.web.health import READINESS, Check, Readiness
from tagify.web.instrumentation import UNTIMED
from tagify.web.json import json_response, query_int, read_body, read_json
from tagify.web.json_body import JsonBody
from tagify.web.problems import problem_response
from tagify.web.raw_response import RawResponse, response_head
from tagify.web.request_ids import REQUEST_ID, valid_or_new_id
from tagify.web.resource_metrics import add_disk_metrics
from tagify.web.routes import route_pattern

__all__ = [
    "FAST_PATH",
    "METRICS",
    "READINESS",
    "REQUEST_ID",
    "REQUEST_SECONDS",
    "TASKS",
    "UNTIMED",
    "AllowedHosts",
    "Check",
    "FastPathHandler",
    "JsonBody",
    "Network",
    "RawResponse",
    "Readiness",
    "add_disk_metrics",
    "allowed_hosts",
    "client_address",
    "etag_matches",
    "json_response",
    "new_app",
    "parse_address",
    "problem_response",
    "query_int",
    "read_body",
    "read_json",
    "response_head",
    "route_pattern",
    "valid_or_new_id",
]

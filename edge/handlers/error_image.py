"""Error responses for images: an SVG placeholder for `<img>`, problem JSON for other clients."""

from aiohttp import hdrs, web

from edge.http.content_negotiation import expects_image
from edge.http.headers import SECURITY_HEADERS
from tagify.errors import Problem
from tagify.web import problem_response
from tagify.web.field_lines import joined_lines

ERROR_CACHE_CONTROL = "public, max-age=60"
"""Cached for a minute: the same bytes will not decode on the next request either."""

SEC_FETCH_DEST = "Sec-Fetch-Dest"

ERROR_SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="256" height="256" viewBox="0 0 32 32">'
    b'<rect width="32" height="32" fill="#8884"/>'
    b'<path d="M8 9h16v14H8zm0 11 5-5 4 4 3-3 4 4M6 6l20 20" fill="none" stroke="#888" stroke-width="1.5"/>'
    b"</svg>"
)
"""A crossed-out picture, in a grey that is visible on light and dark backgrounds."""


FORWARDED_ACCEPT = "X-Forwarded-Accept"
"""The Accept header that NGINX received; it normalizes the header itself for its cache key."""


def _original_accept(request: web.Request) -> str:
    return request.headers.get(FORWARDED_ACCEPT, "") or joined_lines(request.headers, hdrs.ACCEPT)


def error_image_response(request: web.Request, problem: Problem) -> web.Response:
    """The problem as JSON; for an `<img>` as an image, with the same status.

    Browsers render the body of an error response if it is an image. So caches, scripts and logs see
    the right status, and the page shows a placeholder.
    """
    destination = request.headers.get(SEC_FETCH_DEST, "")
    if expects_image(_original_accept(request), destination):
        response = web.Response(status=problem.status, body=ERROR_SVG, content_type="image/svg+xml")
        response.headers.update(SECURITY_HEADERS)
    else:
        response = problem_response(problem)
    response.headers[hdrs.CACHE_CONTROL] = ERROR_CACHE_CONTROL
    response.headers[hdrs.VARY] = f"{hdrs.ACCEPT}, {SEC_FETCH_DEST}"
    return response

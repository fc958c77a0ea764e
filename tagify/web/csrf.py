"""Cross-site request forgery: requests that change something are refused when another site sends them.

Browsers tell the sender in `Sec-Fetch-Site`, older ones and those on plain HTTP in `Origin`. Programs that
are no browsers send neither and are not affected.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from tagify.errors import CrossSiteRequest
from tagify.web.allowed_hosts import forwarded_hosts
from tagify.web.client_address import Network, is_trusted_proxy

SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS, hdrs.METH_TRACE})

SEC_FETCH_SITE = "Sec-Fetch-Site"

OWN_SITE = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site for requests of our page, and of the user alone."""

_DEFAULT_PORTS = {"http": 80, "https": 443}


def reject_cross_site(cors_origins: Sequence[str], trusted: Sequence[Network]) -> Middleware:
    """A middleware that raises CrossSiteRequest for unsafe methods of origins other than ours and these."""
    allowed = frozenset(cors_origins)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in SAFE_METHODS and not _is_allowed(request, allowed, trusted):
            sender = request.headers.get(hdrs.ORIGIN, "another site")
            raise CrossSiteRequest(
                f"a page of {sender[:100]} sent this request; to allow it, "
                "add its origin to TAGIFY_CORS_ORIGINS"
            )
        return await handler(request)

    return check


def _is_allowed(request: web.Request, allowed: frozenset[str], trusted: Sequence[Network]) -> bool:
    sites = request.headers.getall(SEC_FETCH_SITE, ())
    origins = request.headers.getall(hdrs.ORIGIN, ())
    if origins and ("*" in allowed or allowed.issuperset(origins)):
        return True
    if sites:
        return OWN_SITE.issuperset(sites)
    return all(is_own_origin(origin, request, trusted) for origin in origins)


def is_own_origin(origin: str, request: web.Request, trusted: Sequence[Network]) -> bool:
    """Whether an origin is that of this request's URL, as the browser saw it.

    A page by HTTPS may send to HTTP: a proxy in front may end TLS and not say so. The reverse is refused.
    """
    parts = urlsplit(origin)
    scheme = request.scheme
    if is_trusted_proxy(request.remote, trusted):
        scheme = request.headers.get(hdrs.X_FORWARDED_PROTO, scheme).strip().lower()
    if parts.scheme not in ("https", scheme) or parts.scheme not in _DEFAULT_PORTS:
        return False
    own = [request.headers.get(hdrs.HOST, ""), *forwarded_hosts(request, trusted)]
    sender = _host_and_port(parts.netloc, parts.scheme)
    return sender is not None and sender in [_host_and_port(authority, parts.scheme) for authority in own]


def _host_and_port(authority: str, scheme: str) -> tuple[str, int] | None:
    """Host and port, the scheme's where none is given; None for no valid authority."""
    parts = urlsplit(f"//{authority}")
    try:
        port = parts.port
    except ValueError:
        return None
    return (parts.hostname, port or _DEFAULT_PORTS[scheme]) if parts.hostname else None

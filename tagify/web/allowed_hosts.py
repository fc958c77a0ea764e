"""Allowed hosts: requests under a name that is not ours are refused (protection from DNS rebinding).

A page of another site can make its own name resolve to this host's address. Its requests are then of one
origin for the browser, and only their Host header shows the other name.
"""

import re
import socket
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Protocol
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from tagify.errors import UnknownHost
from tagify.web.client_address import Address, Network, is_trusted_proxy, parse_address

ANY = "*"
"""In the list of names: every name is allowed."""

LOOPBACK_NAMES = ("localhost", "*.localhost", "_")
"""`_` is what NGINX sends for a request without a name."""

HEALTH_PATHS = frozenset({"/livez", "/readyz"})
"""Answered to programs on this host under every name."""

ADDRESS_TTL_S = 30
"""How long a decision is cached, in seconds: addresses of a host change."""

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\s:@/\[\]]+?)\.?(?::\d{0,5})?", re.IGNORECASE)


class SiteSettings(Protocol):
    """The settings that name the site."""

    @property
    def hosts(self) -> Sequence[str]: ...

    @property
    def nginx_server_name(self) -> str: ...

    @property
    def media_base_url(self) -> str: ...


def own_host_names() -> tuple[str, ...]:
    """The names of this machine: its host name, also without its domain, and its name in mDNS."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return tuple(dict.fromkeys(filter(None, (name, short, short and f"{short}.local"))))


def server_names(nginx_server_name: str) -> Iterator[str]:
    """The names of NGINX's `server_name`; none of `_`, which is no name."""
    for name in nginx_server_name.split():
        if name.startswith("."):
            yield from (name[1:], f"*{name}")
        elif name != "_":
            yield name


class AllowedHosts:
    """The names and addresses of this site: loopback, this machine's, and the configured ones.

    `*.example.org` allows the subdomains; `*` allows every name. An IP literal is allowed where it is an
    address of this machine.
    """

    def __init__(self, names: Sequence[str]) -> None:
        every = [name.lower() for name in (*LOOPBACK_NAMES, *own_host_names(), *names)]
        self._allows_any = ANY in every
        self._exact = frozenset(every)
        self._suffixes = tuple(name[1:] for name in every if name.startswith("*."))
        self._allows_within = lru_cache(maxsize=256)(self._decide)

    def allows(self, authority: str) -> bool:
        """Whether a Host header, with or without port, names this site. Without a name it does."""
        return self._allows_within(authority, int(time.monotonic()) // ADDRESS_TTL_S)

    def _decide(self, authority: str, _: int) -> bool:
        if not authority or self._allows_any:
            return True
        match = _AUTHORITY.fullmatch(authority.strip())
        if match is None:
            return False
        name = match[1].lower()
        address = parse_address(name)
        if address is not None and (name.startswith("[") or not isinstance(address, IPv6Address)):
            return str(address) in self._exact or _is_own_address(address)
        return name in self._exact or name.endswith(self._suffixes)


def _is_own_address(address: Address) -> bool:
    """Whether this machine has the address: the kernel lets a socket be bound to it."""
    if address.is_loopback:
        return True
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def site_names(settings: SiteSettings) -> list[str]:
    """The configured names of the site: TAGIFY_HOSTS, NGINX's server names, the host of the media URLs."""
    media_host = urlsplit(settings.media_base_url).hostname
    return [*settings.hosts, *server_names(settings.nginx_server_name), *([media_host] if media_host else [])]


def allowed_hosts(settings: SiteSettings, listen_hosts: Sequence[str]) -> AllowedHosts:
    """The allowed hosts of a service. `listen_hosts`: the names and addresses it listens on."""
    return AllowedHosts([*site_names(settings), *listen_hosts])


def forwarded_hosts(request: web.BaseRequest, trusted: Sequence[Network]) -> list[str]:
    """The names in `X-Forwarded-Host`, from trusted proxies only."""
    lines = request.headers.getall(hdrs.X_FORWARDED_HOST, ())
    if not lines or not is_trusted_proxy(request.remote, trusted):
        return []
    return [name.strip() for line in lines for name in line.split(",") if name.strip()]


def check_host(allowed: AllowedHosts, trusted: Sequence[Network]) -> Middleware:
    """A middleware that raises UnknownHost for a name that is not ours."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        names = [*request.headers.getall(hdrs.HOST, ()), *forwarded_hosts(request, trusted)]
        refused = next((name for name in names if not allowed.allows(name)), None)
        if refused is not None and not _is_local_health_check(request):
            raise UnknownHost(
                f"{refused[:100]!r} is not a name of this site: use one of its names, "
                "or add it to TAGIFY_HOSTS"
            )
        return await handler(request)

    return check


def _is_local_health_check(request: web.Request) -> bool:
    if request.path not in HEALTH_PATHS:
        return False
    address = parse_address(request.remote) if request.remote else None
    return not request.remote or (address is not None and address.is_loopback)

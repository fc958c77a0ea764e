"""The optional and repeated directives of the configuration, built from the settings."""

import re
from collections.abc import Iterator, Sequence

from tagify.deploy.nginx.cache_purge import purge_locations
from tagify.settings import NginxSettings
from tagify.web.allowed_hosts import ANY, own_host_names, site_names

FAIL_TIMEOUT_S = 2
"""How long NGINX skips a server that failed, in seconds."""


def upstream_servers(addresses: Sequence[str]) -> str:
    """Return the `server` directives of an upstream."""
    return "\n    ".join(f"server {address} {_failure_options(address)};" for address in addresses)


def _failure_options(address: str) -> str:
    # A local socket fails at once, so trying it is free, and a restarted instance is used immediately.
    return "max_fails=0" if address.startswith("unix:") else f"max_fails=1 fail_timeout={FAIL_TIMEOUT_S}s"


def listen_directive(settings: NginxSettings) -> str:
    """Return the `listen` directives: HTTPS only if there is a certificate."""
    if settings.nginx_tls_certificate:
        return "\n    ".join(f"listen {address} ssl http2;" for address in settings.nginx_tls_listen)
    return _http_listen(settings)


def _http_listen(settings: NginxSettings) -> str:
    return "\n    ".join(f"listen {address};" for address in settings.nginx_listen)


def host_name_patterns(settings: NginxSettings) -> str:
    """Return the lines of the map of allowed hosts: the names of this machine and of the settings."""
    names = dict.fromkeys((*own_host_names(), *site_names(settings)))
    # Without a Host header (HTTP/1.0) $host is the server name.
    lines = ['"~^_ " "";', *(f'"~^{_host_pattern(name.lower())}\\.? " "";' for name in names if name != ANY)]
    return "\n    ".join(['"~." "";'] if ANY in names else lines)


def _host_pattern(name: str) -> str:
    if name.startswith("*."):
        return r"[^ ]+\." + re.escape(name[2:])
    return rf"\[{re.escape(name)}\]" if ":" in name else re.escape(name)


def proxy_networks(settings: NginxSettings) -> str:
    """Return the lines of `geo` for the trusted proxies."""
    return "\n    ".join(f"{proxy} 1;" for proxy in settings.nginx_trusted_proxies if proxy != "unix:")


def tls_directives(settings: NginxSettings) -> str:
    """Return the TLS directives: certificate, forward secrecy, session resumption."""
    if not settings.nginx_tls_certificate:
        return ""
    return "\n    ".join(
        (
            f'ssl_certificate "{settings.nginx_tls_certificate}";',
            f'ssl_certificate_key "{settings.nginx_tls_key}";',
            "ssl_protocols TLSv1.2 TLSv1.3;",
            "ssl_ciphers ECDHE+AESGCM:ECDHE+CHACHA20;",
            "ssl_prefer_server_ciphers off;",
            "ssl_session_cache shared:tagify_tls:10m;",
            "ssl_session_timeout 1d;",
            "ssl_session_tickets off;",
        )
    )


def https_redirect_server(settings: NginxSettings) -> str:
    """Return the server that redirects HTTP to HTTPS; empty without a certificate."""
    if not settings.nginx_tls_certificate:
        return ""
    port = settings.nginx_tls_listen[0].rpartition(":")[2]
    # The client's Host header is repeated only if the site has no server name.
    name = "$host" if settings.nginx_server_name == "_" else settings.nginx_server_name.split()[0]
    authority = name if port == "443" else f"{name}:{port}"
    return "\n".join(
        (
            "server {",
            f"    {_http_listen(settings)}",
            f"    server_name {settings.nginx_server_name};",
            "    server_tokens off;",
            "    access_log off;",
            "    location / {",
            f"        return 308 https://{authority}$request_uri;",
            "    }",
            "}",
        )
    )


def real_ip_directives(settings: NginxSettings) -> str:
    """Return the real_ip directives: X-Forwarded-For is trusted from the configured proxies only."""
    trusted = [f"set_real_ip_from {proxy};" for proxy in settings.nginx_trusted_proxies]
    if trusted:
        trusted += ["real_ip_header X-Forwarded-For;", "real_ip_recursive on;"]
    return "\n    ".join(trusted)


def internal_server(settings: NginxSettings) -> str:
    """Return the internal server on loopback: metrics and readiness of each instance, cache purges."""
    if not settings.nginx_internal_port:
        return ""
    lines = [
        "server {",
        f"    listen 127.0.0.1:{settings.nginx_internal_port};",
        "    server_tokens off;",
        "    access_log off;",
        *(f"    {line}" for line in _instance_locations("api", settings.nginx_api)),
        *(f"    {line}" for line in _instance_locations("edge", settings.nginx_edge)),
        *(f"    {line}" for line in _instance_locations("ingest", [settings.nginx_ingest])),
        *(f"    {line}" for line in purge_locations()),
        "    location / {",
        "        return 404;",
        "    }",
        "}",
    ]
    return "\n".join(lines)


def _instance_locations(name: str, addresses: Sequence[str]) -> Iterator[str]:
    for number, address in enumerate(filter(None, addresses), start=1):
        base = f"http://{address}:" if address.startswith("unix:") else f"http://{address}"
        for page in ("metrics", "readyz"):
            yield f"location = /{name}/{number}/{page} {{"
            yield f"    proxy_pass {base}/{page};"
            yield "}"

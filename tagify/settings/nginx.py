"""The settings of NGINX in front, which `tagify nginx render` writes into its configuration."""

from typing import Self

from pydantic import Field, model_validator

from tagify.settings.edge_cache import EdgeCacheSettings
from tagify.settings.types import NginxPath, NginxValue, NginxValues, Port


class NginxSettings(EdgeCacheSettings):
    """What differs between hosts."""

    nginx_listen: NginxValue = Field(
        "80", min_length=1, description="Port of NGINX, or address and port, for HTTP."
    )
    nginx_tls_listen: NginxValue = Field(
        "443", min_length=1, description="Port of NGINX, or address and port, for HTTPS."
    )
    nginx_server_name: NginxValue = Field("_", min_length=1, description="Name of the site; `_` for any.")
    nginx_tls_certificate: NginxPath = Field(
        "", description="File of the certificate with its chain. With it HTTP is redirected to HTTPS."
    )
    nginx_tls_key: NginxPath = Field("", description="File of the certificate's key.")
    nginx_trusted_proxies: NginxValues = Field(
        (),
        description="Addresses or networks of proxies in front whose X-Forwarded-For is believed, "
        "with commas between.",
    )
    nginx_api: NginxValues = Field(
        ("unix:/run/tagify/api-1.sock", "unix:/run/tagify/api-2.sock"),
        min_length=1,
        description="Where the instances of the API listen: host:port or unix:path, with commas between.",
    )
    nginx_edge: NginxValues = Field(
        ("unix:/run/tagify/edge-1.sock", "unix:/run/tagify/edge-2.sock"),
        min_length=1,
        description="Where the instances of the edge listen: host:port or unix:path, with commas between.",
    )
    nginx_ingest: NginxValue = Field(
        "unix:/run/tagify/ingest.sock",
        description="Where the daemon's metrics page is: host:port or unix:path; empty for nowhere.",
    )
    nginx_cache_dir: NginxPath = Field("/var/cache/nginx/tagify", description="Folder of NGINX's caches.")
    nginx_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Largest size of NGINX's cache of images, in bytes."
    )
    nginx_original_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Largest size of NGINX's cache of originals, in bytes."
    )
    nginx_requests_per_s: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="Requests to the API that one client may make in a second; more are answered with 429.",
    )
    nginx_streams_per_client: int = Field(
        50, ge=1, le=65_535, description="Streams of events that one client may hold."
    )
    nginx_internal_port: Port = Field(
        8089, description="Port on loopback for metrics and readiness of each instance; 0 for none."
    )
    nginx_access_log: NginxPath = Field(
        "/var/log/nginx/tagify.access.log",
        description="File of the access log, one JSON object a line; empty for none.",
    )

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if bool(self.nginx_tls_certificate) != bool(self.nginx_tls_key):
            raise ValueError("TAGIFY_NGINX_TLS_CERTIFICATE and TAGIFY_NGINX_TLS_KEY go together")
        return self

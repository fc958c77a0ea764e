"""The settings of NGINX, which `tagify nginx render` writes into its configuration."""

from typing import Self

from pydantic import Field, model_validator

from tagify.settings.edge_cache import EdgeCacheSettings
from tagify.settings.types import NginxPath, NginxValue, NginxValues, Port


class NginxSettings(EdgeCacheSettings):
    """Values of NGINX's configuration that differ between hosts."""

    nginx_listen: NginxValues = Field(
        ("80",),
        min_length=1,
        description="Ports, or addresses and ports, of NGINX for HTTP, comma-separated; "
        "`80,[::]:80`: IPv4 and IPv6.",
    )
    nginx_tls_listen: NginxValues = Field(
        ("443",),
        min_length=1,
        description="Ports, or addresses and ports, of NGINX for HTTPS, comma-separated; "
        "`443,[::]:443`: IPv4 and IPv6.",
    )
    nginx_tls_certificate: NginxPath = Field(
        "", description="File of the TLS certificate with its chain. If set, HTTP is redirected to HTTPS."
    )
    nginx_tls_key: NginxPath = Field("", description="File of the certificate's private key.")
    nginx_trusted_proxies: NginxValues = Field(
        (),
        description="Addresses or networks of proxies before NGINX whose X-Forwarded-For, -Host and "
        "-Proto are trusted, comma-separated.",
    )
    nginx_api: NginxValues = Field(
        ("unix:/run/tagify/api-1.sock", "unix:/run/tagify/api-2.sock"),
        min_length=1,
        description="Addresses of the instances of the API: host:port or unix:path, comma-separated.",
    )
    nginx_edge: NginxValues = Field(
        ("unix:/run/tagify/edge-1.sock", "unix:/run/tagify/edge-2.sock"),
        min_length=1,
        description="Addresses of the instances of the edge: host:port or unix:path, comma-separated.",
    )
    nginx_ingest: NginxValue = Field(
        "unix:/run/tagify/ingest.sock",
        description="Address of ingest's metrics page: host:port or unix:path; empty: none.",
    )
    nginx_cache_dir: NginxPath = Field("/var/cache/nginx/tagify", description="Folder of NGINX's caches.")
    nginx_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Maximum size of NGINX's cache of images, in bytes."
    )
    nginx_original_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Maximum size of NGINX's cache of originals, in bytes."
    )
    nginx_requests_per_s: int = Field(
        100,
        ge=1,
        le=1_000_000,
        description="Requests to the API per second and client; beyond: 429.",
    )
    nginx_streams_per_client: int = Field(
        50, ge=1, le=65_535, description="Maximum number of event streams per client."
    )
    nginx_internal_port: Port = Field(
        8089, description="Loopback port for metrics and readiness of each instance, and for purges; 0: none."
    )
    nginx_access_log: NginxPath = Field(
        "/var/log/nginx/tagify.access.log",
        description="File of the access log, one JSON object per line; empty: none.",
    )

    @model_validator(mode="after")
    def _check_tls_pair(self) -> Self:
        if bool(self.nginx_tls_certificate) != bool(self.nginx_tls_key):
            raise ValueError("set both TAGIFY_NGINX_TLS_CERTIFICATE and TAGIFY_NGINX_TLS_KEY, or neither")
        return self

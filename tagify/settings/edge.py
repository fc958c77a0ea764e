"""The settings of the edge."""

from pydantic import Field

from tagify.settings.edge_cache import EdgeCacheSettings
from tagify.settings.types import BaseUrl, Formats, Hosts, Port, SocketPath, Widths


class EdgeSettings(EdgeCacheSettings):
    """Settings of the edge, which serves thumbs, variants and originals."""

    edge_host: Hosts = Field(
        ("127.0.0.1",), description="Addresses the edge listens on, IPv4 or IPv6, comma-separated."
    )
    edge_port: Port = Field(8081, description="Port the edge listens on.")
    edge_socket: SocketPath = Field(
        "",
        description="Unix socket the edge listens on, instead of a port. "
        "Sockets passed by systemd take precedence over both.",
    )
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants, in pixels."
    )
    edge_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Maximum size of the disk cache, in bytes."
    )
    edge_memory_bytes: int = Field(
        32_000_000, ge=0, le=10**11, description="Maximum size of the memory cache of variants, in bytes."
    )
    edge_workers: int = Field(2, ge=1, le=64, description="Processes that render variants.")
    edge_avif_workers: int = Field(
        1, ge=1, le=64, description="Maximum number of concurrent AVIF encodings, the slowest ones."
    )
    edge_queue_size: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Maximum number of variants of a client waiting for a process; beyond: 503.",
    )
    edge_decode_mb: int = Field(
        1024,
        ge=64,
        le=65_536,
        description="Memory budget for decoding, in MB; an image that needs more is refused.",
    )
    edge_decode_s: int = Field(
        20,
        ge=1,
        le=600,
        description="Deadline of rendering a variant, in seconds; then its process is killed.",
    )
    edge_purge_url: BaseUrl = Field(
        "",
        description="Where the edge purges NGINX's caches of deleted images: http://127.0.0.1 "
        "and TAGIFY_NGINX_INTERNAL_PORT; empty: no purge.",
    )
    edge_thumb_formats: Formats = Field(
        ("webp",),
        description="Formats of thumbs by id for clients whose Accept names them, in order of preference: "
        "avif, webp. Others get JPEG.",
    )

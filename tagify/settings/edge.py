"""The settings of the edge."""

from pydantic import Field

from tagify.settings.edge_cache import EdgeCacheSettings
from tagify.settings.types import BaseUrl, Formats, Port, SocketPath, Widths


class EdgeSettings(EdgeCacheSettings):
    """The service that delivers bytes."""

    edge_host: str = Field("127.0.0.1", description="Address the edge listens on.")
    edge_port: Port = Field(8081, description="Port the edge listens on.")
    edge_socket: SocketPath = Field(
        "",
        description="Unix socket the edge listens on, instead of a port. Sockets of systemd go before both.",
    )
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants."
    )
    edge_cache_bytes: int = Field(
        10_000_000_000, ge=1_000_000, description="Largest size of the disk cache, in bytes."
    )
    edge_memory_bytes: int = Field(
        32_000_000, ge=0, le=10**11, description="Memory for the variants asked for most, in bytes."
    )
    edge_workers: int = Field(2, ge=1, le=64, description="Processes that make variants.")
    edge_avif_workers: int = Field(
        1, ge=1, le=64, description="AVIF variants that are made at the same time; they take longest."
    )
    edge_queue_size: int = Field(
        64, ge=1, le=10_000, description="Variants that may wait for a worker; more are answered with 503."
    )
    edge_decode_mb: int = Field(
        1024,
        ge=64,
        le=65_536,
        description="Memory for decoding at a time, in MB; what needs more is refused.",
    )
    edge_decode_s: int = Field(
        20, ge=1, le=600, description="Longest time for one variant, in seconds; then its worker is replaced."
    )
    edge_purge_url: BaseUrl = Field(
        "",
        description="Where the caches of NGINX in front are purged of what was removed: http://127.0.0.1 "
        "and TAGIFY_NGINX_INTERNAL_PORT; empty for nowhere.",
    )
    edge_thumb_formats: Formats = Field(
        ("webp",), description="Formats of thumbs by id, best first, for clients that name them: avif, webp."
    )

"""The settings of the API."""

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.types import Hosts, Port, SocketPath, Widths


class ApiSettings(CommonSettings):
    """Settings of the API and the page."""

    api_host: Hosts = Field(
        ("127.0.0.1",), description="Addresses the API listens on, IPv4 or IPv6, comma-separated."
    )
    api_port: Port = Field(8080, description="Port the API listens on.")
    api_event_clients: int = Field(
        10_000, ge=1, le=1_000_000, description="Maximum number of concurrent event streams."
    )
    api_socket: SocketPath = Field(
        "",
        description="Unix socket the API listens on, instead of a port. "
        "Sockets passed by systemd take precedence over both.",
    )
    api_rate: float = Field(
        50.0, ge=0, le=1_000_000, description="Requests per second and client (token bucket); 0: no limit."
    )
    api_burst: int = Field(
        500, ge=1, le=1_000_000, description="Burst per client: the capacity of its token bucket."
    )
    api_costly: int = Field(
        4, ge=1, le=100, description="Concurrent expensive requests: bulk changes and lists by offset."
    )
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants, in pixels."
    )

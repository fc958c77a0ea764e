"""The settings of the API."""

from ipaddress import IPv4Network, IPv6Network

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.types import BaseUrl, Networks, Port, SocketPath, Widths


class ApiSettings(CommonSettings):
    """The service that answers questions and changes tags."""

    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: Port = Field(8080, description="Port the API listens on.")
    api_event_clients: int = Field(
        10_000, ge=1, le=1_000_000, description="Clients that may listen for events at the same time."
    )
    api_socket: SocketPath = Field(
        "",
        description="Unix socket the API listens on, instead of a port. Sockets of systemd go before both.",
    )
    api_rate: float = Field(
        50.0, ge=0, le=1_000_000, description="Requests a second that each client may send; 0 for no limit."
    )
    api_burst: int = Field(
        500, ge=1, le=1_000_000, description="Requests that a client may send at once, ahead of its rate."
    )
    api_costly: int = Field(
        4, ge=1, le=100, description="Changes of many images, and lists by offset, that run at a time."
    )
    trusted_proxies: Networks = Field(
        (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128")),
        description="Proxies whose X-Forwarded-For is believed, as networks with commas between.",
    )
    media_base_url: BaseUrl = Field(
        "", description="Origin of the media URLs: the edge or a CDN. Empty when NGINX makes one origin."
    )
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants."
    )

"""The settings of the API."""

from pydantic import Field

from tagify.settings.common import CommonSettings
from tagify.settings.fields import BaseUrl, Port, SocketPath, Widths


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
    media_base_url: BaseUrl = Field(
        "", description="Origin of the media URLs: the edge or a CDN. Empty when NGINX makes one origin."
    )
    media_widths: Widths = Field(
        (160, 320, 512, 768, 1024, 1600, 2048, 3072), description="Widths of the variants."
    )

"""Server-sent events: what happens to images and libraries, told to whoever listens."""

from api.events.hub import Events
from api.events.subscriber import Reader

__all__ = ["Events", "Reader"]

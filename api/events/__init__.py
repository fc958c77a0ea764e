"""Server-sent events about images and libraries."""

from api.events.hub import EventHub
from api.events.subscriber import Subscriber

__all__ = ["EventHub", "Subscriber"]

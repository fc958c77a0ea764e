"""What the three services share. Nothing in here knows a service."""

from importlib.metadata import version

__version__ = version("tagify")

"""Code shared by the three services. It imports none of them."""

from importlib.metadata import version

__version__ = version("tagify")

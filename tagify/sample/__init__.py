"""A generated sample library, identical on every machine."""

from tagify.sample.library import make_sample

__all__ = ["make_sample"]

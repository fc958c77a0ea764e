"""A library to try Tagify with, drawn by code: the same pictures on every machine."""

from tagify.sample.library import make_sample

__all__ = ["make_sample"]

"""Checks of `tagify doctor`: servers and host, each finding with its fix."""

"""Variants: cache lookup, rendering, negative cache."""

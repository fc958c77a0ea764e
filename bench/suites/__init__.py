"""The measurements: one module each, run by `make bench`."""

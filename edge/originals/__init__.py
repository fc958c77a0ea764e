"""Originals: streaming from the object store to clients."""

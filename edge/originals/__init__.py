"""Originals: the decision how to respond, and streaming from the object store to clients."""

"""Primitives for concurrent work: tasks, threads, limits, caches, retries."""

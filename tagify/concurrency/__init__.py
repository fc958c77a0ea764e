"""Primitives of asyncio code: tasks, thread pool, limits, queues, caches, circuit breaker, retry."""

"""Rate limit per client (token bucket), and concurrency limit for expensive requests."""

from api.rate_limit.concurrency import expensive_request_limiter, limit_concurrency
from api.rate_limit.middleware import add_rate_limit_headers, limit_rate
from api.rate_limit.token_bucket import TokenBuckets

__all__ = [
    "TokenBuckets",
    "add_rate_limit_headers",
    "expensive_request_limiter",
    "limit_concurrency",
    "limit_rate",
]

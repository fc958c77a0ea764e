"""What one client may ask of the API, and what all of them together."""

from api.rate_limit.concurrency import ConcurrencyLimiter, costly
from api.rate_limit.middleware import limited, tell_limits
from api.rate_limit.token_bucket import Buckets

__all__ = ["Buckets", "ConcurrencyLimiter", "costly", "limited", "tell_limits"]

"""What one client may ask of the API, and what all of them together."""

from api.rate_limit.buckets import Buckets
from api.rate_limit.gate import Gate, costly
from api.rate_limit.rates import limited, tell_limits

__all__ = ["Buckets", "Gate", "costly", "limited", "tell_limits"]

"""What one client may ask of the API, and what all of them together."""

from api.limits.buckets import Buckets
from api.limits.gate import Gate, costly
from api.limits.rates import limited, tell_limits

__all__ = ["Buckets", "Gate", "costly", "limited", "tell_limits"]

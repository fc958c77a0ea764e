"""Sandbox: untrusted files are parsed in processes that may hang, grow or crash without harm to a service.

A decode in a thread cannot be stopped when it takes minutes, or contained when the decoder is exploited.
Each decoder is a process with a memory limit, without credentials in its environment, and with a deadline
after which it is killed and replaced.
"""

from tagify.sandbox.jobs import DecodeJob
from tagify.sandbox.pool import DecodeResult, LimitExceeded, Sandbox
from tagify.sandbox.shared_memory import SharedBuffer
from tagify.sandbox.worker import Source

__all__ = ["DecodeJob", "DecodeResult", "LimitExceeded", "Sandbox", "SharedBuffer", "Source"]

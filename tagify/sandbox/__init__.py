"""Decoding files by strangers in processes that may hang, grow or crash without harm to anybody.

A picture that takes minutes, or a decoder that is made to write where it should not, cannot be
stopped in a thread. Here each decoder is a process of its own with a bound on memory, no
credentials in its environment, and a deadline after which it is killed and another takes its place.
"""

from tagify.sandbox.jobs import DecodeJob
from tagify.sandbox.pool import DecodeResult, Sandbox
from tagify.sandbox.shared_memory import SharedBuffer

__all__ = ["DecodeJob", "DecodeResult", "Sandbox", "SharedBuffer"]

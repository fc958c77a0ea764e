"""The id under which a request is logged, on every host that it passes."""

import itertools
import re
import secrets
from typing import Final

from multidict import istr

REQUEST_ID: Final = istr("X-Request-ID")
"""The header that it travels in."""

_PROCESS = secrets.token_hex(8)
_NUMBERS = itertools.count(1)
_REQUEST_ID = re.compile(r"[\w.-]{8,64}")


def accepted(given: str) -> str:
    """The id that came with a request where it is one, else a new one.

    A new one is the process's random part and a number: a UUID for each would cost more than all
    else that a middleware does.
    """
    return given if given and _REQUEST_ID.fullmatch(given) else f"{_PROCESS}{next(_NUMBERS):08x}"

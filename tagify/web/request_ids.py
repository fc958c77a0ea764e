"""Request ids: the same id in the logs of every host that handles a request."""

import itertools
import re
import secrets
from typing import Final

from multidict import istr

REQUEST_ID: Final = istr("X-Request-ID")
"""The header that carries the request id."""

_PROCESS_PREFIX = secrets.token_hex(8)
_COUNTER = itertools.count(1)
_VALID_ID = re.compile(r"[\w.-]{8,64}")


def valid_or_new_id(given: str) -> str:
    """The given request id when it is valid, else a new one.

    A new id is a random prefix of the process and a counter: a UUID for each request would cost more
    than the rest of the middleware.
    """
    return given if given and _VALID_ID.fullmatch(given) else f"{_PROCESS_PREFIX}{next(_COUNTER):08x}"

"""Which folders may become libraries. Synchronous: it looks at the disk, so callers use a thread."""

import os
from collections.abc import Sequence
from pathlib import Path

from tagify.errors import BadRequest, Conflict


def admit(text: str, roots: Sequence[Path], taken: Sequence[str]) -> str:
    """The folder's true path, symbolic links resolved.

    Raises BadRequest when it is no readable folder below an allowed root, Conflict when a
    library is there, above it or below it.
    """
    if not text.startswith("/") or "\0" in text:
        raise BadRequest(f"path must be absolute, like /srv/photos; {text!r} is not")
    path = Path(os.path.realpath(text))
    if not path.exists():
        raise BadRequest(f"there is no folder {text} on the server")
    if not path.is_dir():
        raise BadRequest(f"{text} is not a folder")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadRequest(f"{text} cannot be read by the server's user")
    if not any(path.is_relative_to(os.path.realpath(root)) for root in roots):
        allowed = ", ".join(map(str, roots)) or "none"
        raise BadRequest(
            f"{path} lies outside the allowed roots ({allowed}), which TAGIFY_LIBRARY_ROOTS names"
        )
    for other in map(Path, taken):
        if path.is_relative_to(other) or other.is_relative_to(path):
            raise Conflict(f"{path} overlaps the library at {other}")
    return str(path)

"""Which folders may become libraries. Synchronous: it looks at the disk, so callers use a thread."""

import os
from collections.abc import Sequence
from pathlib import Path

from tagify.errors import BadRequest


def admit(text: str, roots: Sequence[Path]) -> str:
    """The folder's true path, symbolic links resolved.

    Raises BadRequest when it is no readable folder below an allowed root.
    """
    if not text.startswith("/") or "\0" in text:
        raise BadRequest(f"path must be absolute, like /srv/photos; {text!r} is not")
    path = Path(os.path.realpath(text))
    # Before anything else, so that nobody learns what lies elsewhere.
    if not any(path.is_relative_to(os.path.realpath(root)) for root in roots):
        raise BadRequest(_outside(text, roots))
    _look_at(path, text)
    return str(path)


def _look_at(path: Path, text: str) -> None:
    try:
        str(path).encode()
        path.stat()
    except UnicodeEncodeError:
        raise BadRequest(f"{text} leads to a folder whose name is not UTF-8; rename it") from None
    except PermissionError:
        raise BadRequest(f"{text} cannot be read by the server's user; change its permissions") from None
    except OSError:
        raise BadRequest(f"there is no folder {text} on the server; make it first") from None
    if not path.is_dir():
        raise BadRequest(f"{text} is not a folder; name the folder it is in")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadRequest(f"{text} cannot be read by the server's user; change its permissions")


def _outside(text: str, roots: Sequence[Path]) -> str:
    allowed = ", ".join(map(str, roots)) or "none"
    return (
        f"{text} lies, its links resolved, outside the allowed roots ({allowed}); "
        "TAGIFY_LIBRARY_ROOTS names them"
    )

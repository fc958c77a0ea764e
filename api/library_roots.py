"""Checks the folder of a new library against the allowed roots. Blocking disk access: call it in a thread."""

import os
from collections.abc import Sequence
from pathlib import Path

from tagify.errors import BadRequest


def resolve_library_path(requested: str, roots: Sequence[Path]) -> str:
    """The folder's real path, with symbolic links resolved.

    Raises BadRequest unless it is a readable folder in an allowed root.
    """
    if not requested.startswith("/") or "\0" in requested:
        raise BadRequest(f"`path` must be absolute, like /srv/photos; {requested!r} is not")
    path = Path(os.path.realpath(requested))
    # The first check, so that errors reveal nothing about folders outside the roots.
    if not any(path.is_relative_to(os.path.realpath(root)) for root in roots):
        raise BadRequest(_outside_roots(requested, roots))
    _check_folder(path, requested)
    return str(path)


def _check_folder(path: Path, requested: str) -> None:
    try:
        str(path).encode()
        path.stat()
    except UnicodeEncodeError:
        raise BadRequest(f"the real path of {requested} is not valid UTF-8; rename the folder") from None
    except PermissionError:
        raise BadRequest(f"{requested} cannot be read by the server's user; change its permissions") from None
    except OSError:
        raise BadRequest(f"there is no folder {requested} on the server; create it first") from None
    if not path.is_dir():
        raise BadRequest(f"{requested} is not a folder; give the folder that contains it")
    if not os.access(path, os.R_OK | os.X_OK):
        raise BadRequest(f"{requested} cannot be read by the server's user; change its permissions")


def _outside_roots(requested: str, roots: Sequence[Path]) -> str:
    allowed = ", ".join(map(str, roots)) or "none"
    return (
        f"{requested}, with symbolic links resolved, is outside the allowed roots ({allowed}); "
        "add its root to TAGIFY_LIBRARY_ROOTS"
    )

"""On what kind of file system a folder lies."""

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def file_system_type(folder: str) -> str:
    """The type as the kernel names it (`ext4`, `nfs4`); empty where it cannot be told. Runs in a thread."""
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    found, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = _unescaped(before.split()[4])
        if _lies_in(folder, point) and len(point) >= longest:
            found, longest = after.split()[0], len(point)
    return found


def _lies_in(folder: str, point: str) -> bool:
    return folder == point or folder.startswith(point.rstrip("/") + "/")


def _unescaped(point: str) -> str:
    """proc(5): space, tab, newline and backslash are written as three octal digits."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point

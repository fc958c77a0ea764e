"""Type of the file system that holds a folder."""

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def file_system_type(folder: str) -> str:
    """The kernel's name of the type (`ext4`, `nfs4`); empty where unknown. Blocking: call it in a thread."""
    try:
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    file_system, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        mount_point = _unescape(before.split()[4])
        if _is_below(folder, mount_point) and len(mount_point) >= longest:
            file_system, longest = after.split()[0], len(mount_point)
    return file_system


def _is_below(folder: str, mount_point: str) -> bool:
    return folder == mount_point or folder.startswith(mount_point.rstrip("/") + "/")


def _unescape(text: str) -> str:
    """Decode space, tab, newline and backslash, which proc(5) writes as three octal digits."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text

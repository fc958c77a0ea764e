"""The version line of a settings file: the newest release of Tagify that has been installed beside it.

An older release that is rolled back to does not know the variables of a newer one: it ignores them if this
line says that the file is for a newer release, and refuses them otherwise.
"""

import re

_LINE = re.compile(r"^# For Tagify (\d+)\.(\d+)\.(\d+)\b.*$", re.MULTILINE)
"""A comment: a release without this module refuses an unknown variable."""


def version_line(version: str) -> str:
    """Return the line for this version."""
    return f"# For Tagify {version} and older. Tagify updates this line."


def is_for_newer(text: str, version: str) -> bool:
    """Whether the text of a settings file is for a release newer than this version."""
    match = _LINE.search(text)
    return match is not None and tuple(map(int, match.groups())) > _parse(version)


def with_version(text: str, version: str) -> str:
    """Return the text with the line of this version; unchanged if it is for this release or a newer one."""
    match = _LINE.search(text)
    if match is None:
        return f"{version_line(version)}\n{text}"
    if tuple(map(int, match.groups())) >= _parse(version):
        return text
    return text[: match.start()] + version_line(version) + text[match.end() :]


def _parse(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)[:3]))

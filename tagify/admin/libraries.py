"""`tagify libraries`: what each waits for, and saying yes to it."""

from pathlib import Path

from tagify.admin.catalog import with_catalog
from tagify.catalog import Catalog
from tagify.errors import TagifyError
from tagify.model import Library, LibraryState


def show(data_dir: Path) -> int:
    """Print a line for each library; 0. Raises Unavailable, SettingsError."""
    for library in with_catalog(data_dir, lambda catalog: catalog.libraries.all()):
        print(_line(library))
    return 0


def approve(data_dir: Path, which: str) -> int:
    """Approve of a library as it is now; 0. Raises TagifyError where it is not one, Unavailable."""
    library = with_catalog(data_dir, lambda catalog: _approve(catalog, which))
    print(f"{library.name}: approved; ingest goes on within seconds")
    return 0


async def _approve(catalog: Catalog, which: str) -> Library:
    libraries = await catalog.libraries.all()
    found = [library for library in libraries if which in (library.id, library.name, library.path)]
    if len(found) != 1:
        known = ", ".join(f"{library.name} ({library.id})" for library in libraries) or "none"
        wrong = "several libraries have" if found else "no library has"
        raise TagifyError(f"{wrong} the name, path or id {which!r}; there are: {known}")
    await catalog.libraries.approve(found[0].id)
    return found[0]


def _line(library: Library) -> str:
    words = [library.id, library.name, library.path, f"{library.indexed_count} images", library.state.value]
    if library.state is LibraryState.SUSPENDED:
        words.append(library.scan_error)
    if library.removal_waiting:
        words.append(f"{library.removal_waiting} images wait to be removed: tagify libraries approve")
    return "  ".join(words)

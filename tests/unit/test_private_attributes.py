"""No module but a `_compat` one touches a private attribute of a library.

A private attribute may change with any release. The `_compat` modules document each of them: the reason for
its use, and the version it was checked with. pyproject.toml bounds the versions of those libraries.
"""

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

PACKAGES = ("tagify", "ingest", "api", "edge")
ROOT = Path(__file__).parents[2]

DOCUMENTED = {"_exit", "_replace", "_asdict", "_fields"}
"""Names of the standard library that begin with an underscore and are documented: `os`, `namedtuple`."""


MACHINERY = {"_abc_impl", "_is_protocol", "_is_runtime_protocol"}
"""Attributes that `abc` and `typing` add to classes."""


def is_compat(name: str) -> bool:
    return name.rpartition(".")[2].startswith("_compat")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in DOCUMENTED


def own_modules() -> Iterator[str]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
            yield name.removesuffix(".__init__")


def foreign_attributes(source: str) -> Iterator[str]:
    """Private attributes of objects other than `self`, unless a class of the module defines them."""
    tree = ast.parse(source)
    used, own = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                own.add(node.attr)
            else:
                used[f"line {node.lineno}: {ast.unparse(node)}"] = node.attr
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            own.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            own.add(node.target.id)
    yield from (where for where, name in used.items() if name not in own)


def private_imports(source: str) -> Iterator[str]:
    """Imports of private modules and names from outside our packages."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [part for alias in node.names for part in alias.name.split(".")]
        else:
            continue
        if names[0] not in PACKAGES and any(map(is_private, names)):
            yield f"line {node.lineno}: {ast.unparse(node)}"


def private_names(base: type) -> frozenset[str]:
    """Private names of one class: its methods, class attributes, and attributes of `self` in its source."""
    names = {*vars(base), *getattr(base, "__annotations__", {})}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
    except (OSError, TypeError):
        return frozenset(filter(is_private, names))
    names |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    return frozenset(filter(is_private, names))


def is_of_a_library(base: type) -> bool:
    package = base.__module__.partition(".")[0]
    return package not in PACKAGES and package not in sys.stdlib_module_names


def inherited_attributes(module: ModuleType) -> Iterator[str]:
    """Private names that a class of the module shares with a library's class it inherits from."""
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ != module.__name__:
            continue
        for base in filter(is_of_a_library, cls.__mro__[1:]):
            shared = private_names(cls) & private_names(base) - MACHINERY
            yield from (
                f"{name}.{attribute} is an attribute of {base.__name__}" for attribute in sorted(shared)
            )


def touched(name: str) -> Iterator[str]:
    """Private attributes and names of libraries in one module."""
    path = ROOT / Path(*name.split("."))
    source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
    yield from foreign_attributes(source)
    yield from private_imports(source)
    if not name.endswith("__main__"):
        yield from inherited_attributes(importlib.import_module(name))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_module_touches_no_private_attribute_of_a_library(package: str) -> None:
    names = [name for name in own_modules() if name.partition(".")[0] == package and not is_compat(name)]
    assert {name: found for name in names if (found := list(touched(name)))} == {}


def test_the_rule_finds_private_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(foreign_attributes("request.writer._eof = True")) == ["line 1: request.writer._eof"]
    assert list(private_imports("from aiohttp._http_parser import HttpParser"))
    assert list(private_imports("import watchdog.observers._x"))
    compat = [importlib.import_module(name) for name in own_modules() if is_compat(name)]
    assert any(inherited_attributes(module) for module in compat)

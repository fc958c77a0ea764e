"""Every path, link, make target, command and setting that a document names exists."""

import re
from functools import cache
from pathlib import Path

import pytest

from tagify.settings import variable_names
from tests.unit.test_docs import parsers

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "bench/**/*.md", ".github/**/*.md")
    for path in ROOT.glob(pattern)
)
TOP = ("tagify", "ingest", "api", "edge", "nginx", "systemd", "tests", "bench", "docs", "tools", ".ci")
CODE_PATH = re.compile(rf"`((?:{'|'.join(map(re.escape, TOP))})/[\w./-]*)`")
GENERATED = ("bench/results/",)
"""Folders that are written at run time."""

MODULE = re.compile(r"python -m ((?:tagify|ingest|api|edge|bench|tools)[\w.]*)")
LINK = re.compile(r"\]\(([^)#]*)(?:#([\w-]+))?\)")
MAKE = re.compile(r"(?:`|^ {4,}(?:sudo )?|&& (?:sudo )?)(?:sudo )?make ([a-z][a-z-]*)", re.MULTILINE)
COMMAND = re.compile(r"(?:`|^ {4,}|bin/|\| `)(?:sudo )?(?:\.venv/bin/)?tagify ([a-z][^`\n]*)", re.MULTILINE)
SETTING = re.compile(r"\bTAGIFY_[A-Z0-9_]*[A-Z0-9]\b")


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


documents = pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


@cache
def text_of(document: Path) -> str:
    return document.read_text()


@documents
def test_every_path_exists(document: Path) -> None:
    paths = [path for path in CODE_PATH.findall(text_of(document)) if not path.startswith(GENERATED)]
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


@documents
def test_every_module_exists(document: Path) -> None:
    for module in MODULE.findall(text_of(document)):
        if module.endswith(".NAME"):  # a placeholder
            continue
        path = ROOT.joinpath(*module.rstrip(".").split("."))
        assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module


@documents
def test_every_link_resolves(document: Path) -> None:
    for target, anchor in LINK.findall(text_of(document)):
        if target.startswith(("http://", "https://")):
            continue
        path = (document.parent / target).resolve() if target else document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), f"{target}#{anchor}"


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.*)$", text_of(document), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents
def test_every_make_target_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(MAKE.findall(text_of(document))) <= targets


@cache
def options_of_commands() -> dict[str, set[str]]:
    """The options of each command, and under the first word those of all its subcommands."""
    options: dict[str, set[str]] = {}
    for name, chain in parsers():
        own = {word for parser in chain for action in parser._actions for word in action.option_strings}
        options[name] = own
        options.setdefault(name.split()[0], set()).update(own)
    return options


@documents
def test_every_command_and_option_exists(document: Path) -> None:
    commands = options_of_commands()
    for line in COMMAND.findall(text_of(document).replace("\\\n", " ")):
        words = line.split()
        first, second = words[0], " ".join(words[:2])
        assert first in commands, f"tagify {line}"
        has_subcommands = any(name.startswith(f"{first} ") for name in commands)
        name = second if second in commands else first
        if has_subcommands and len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]):
            assert second in commands, f"tagify {line}"
        used = {word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z][a-z0-9-]*(=.*)?", word)}
        assert used <= commands[name], f"tagify {line}"


@documents
def test_every_setting_exists(document: Path) -> None:
    assert set(SETTING.findall(text_of(document))) <= set(variable_names())


def test_every_document_is_linked_from_the_index() -> None:
    linked = {
        (index.parent / target).resolve()
        for index in (ROOT / "docs/README.md", ROOT / "docs/decisions/README.md")
        for target, _ in LINK.findall(text_of(index))
    }
    unlinked = [name_of(path) for path in DOCUMENTS if ROOT / "docs" in path.parents and path not in linked]
    assert [name for name in unlinked if name != "docs/README.md"] == []

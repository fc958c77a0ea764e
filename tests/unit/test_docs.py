"""The reference pages agree with the code: routes, settings, metrics, commands, collections and indexes."""

import argparse
import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from inspect import getsource, signature
from pathlib import Path
from typing import TypeGuard

import pytest
from aiohttp import web

import api.app
import edge.app
from api.openapi import OPERATIONS
from tagify.catalog import indexes, mapping
from tagify.cli.main import COMMANDS
from tagify.metrics import Counter, Gauge, Histogram
from tagify.settings import ApiSettings, EdgeSettings
from tests.support.data_model import documented_collections, documented_fields, documented_indexes
from tools.settings_table import rows as settings_rows

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROUTES = (DOCS / "reference/routes.md").read_text()
SETTINGS = (DOCS / "settings.md").read_text()
METRICS = (DOCS / "reference/metrics.md").read_text()
CLI = (DOCS / "reference/cli.md").read_text()
SHARED = {"/livez", "/readyz", "/metrics"}
KINDS = {"counter", "gauge", "histogram"}
UPDATES = {
    name
    for metric in (Counter, Gauge, Histogram)
    for name, method in vars(metric).items()
    if not name.startswith("_") and "labels" in signature(method).parameters
}
"""Methods of a metric that take its labels as keywords."""

UNDOCUMENTED = {"help", "version"}


def registered_routes(app: web.Application) -> set[tuple[str, str]]:
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def documented_routes(service: str) -> set[tuple[str, str]]:
    rows = re.findall(rf"^\| `([A-Z ]+) (\S+?)` \| {service} \|", ROUTES, re.MULTILINE)
    return {(method, path) for methods, path in rows for method in methods.split() if method != "HEAD"}


@pytest.mark.parametrize(
    ("service", "app"),
    [("api", api.app.build(ApiSettings())), ("edge", edge.app.build(EdgeSettings()))],
)
def test_the_route_table_equals_the_router(service: str, app: web.Application) -> None:
    registered = {(method, path) for method, path in registered_routes(app) if path not in SHARED}
    assert documented_routes(service) == registered
    assert {path for _, path in registered_routes(app)} >= SHARED


def test_the_openapi_document_has_every_route_and_no_other() -> None:
    assert registered_routes(api.app.build(ApiSettings())) == OPERATIONS.keys()


def test_the_settings_table_equals_the_models() -> None:
    documented = re.findall(r"^\| `TAGIFY_.*\n", SETTINGS, re.MULTILINE)
    assert documented == list(settings_rows()), "run python -m tools.settings_table"


@cache
def service_sources() -> tuple[ast.AST, ...]:
    return tuple(
        ast.parse(path.read_text())
        for package in ("tagify", "ingest", "api", "edge")
        for path in sorted((ROOT / package).rglob("*.py"))
    )


def method_calls(names: set[str]) -> Iterator[tuple[str, ast.Call]]:
    for node in (node for source in service_sources() for node in ast.walk(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node.func.attr, node


def registered_metrics() -> dict[str, tuple[str, bool]]:
    """Type of each metric, and whether it is a counter without a series until its first label."""
    metrics = {}
    for kind, call in method_calls(KINDS):
        if call.args and isinstance(call.args[0], ast.Constant):
            metrics[str(call.args[0].value)] = kind, any(word.arg == "labelled" for word in call.keywords)
    return metrics


def documented_metrics() -> dict[str, tuple[str, set[str]]]:
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*?) ?\| ", METRICS, re.MULTILINE)
    return {name: (kind, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels in rows}


def test_every_metric_is_documented_with_its_type() -> None:
    registered = {name: kind for name, (kind, _) in registered_metrics().items()}
    assert {name: kind for name, (kind, _) in documented_metrics().items()} == registered


def test_every_old_name_of_a_metric_is_documented_with_the_new_one() -> None:
    registered = {
        str(word.value.value): str(call.args[0].value)
        for _, call in method_calls(KINDS)
        for word in call.keywords
        if word.arg == "old"
        and isinstance(word.value, ast.Constant)
        and isinstance(call.args[0], ast.Constant)
    }
    assert registered
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", METRICS, re.MULTILINE)) == registered


def test_every_metric_follows_the_naming_conventions_of_prometheus() -> None:
    for name, (kind, _) in registered_metrics().items():
        assert name.startswith(("tagify_", "process_")), name
        assert name.endswith("_total") == (kind == "counter"), name
        assert kind != "histogram" or name.endswith("_seconds"), name
        assert not re.search(r"_(ms|milliseconds|kb|mb|minutes)(_|$)", name), name


def test_every_label_of_a_metric_is_documented() -> None:
    used = {word.arg for _, call in method_calls(UPDATES) for word in call.keywords if word.arg}
    documented = documented_metrics()
    assert set().union(*(labels for _, labels in documented.values())) == used
    for name, (kind, is_labelled) in registered_metrics().items():
        if kind == "counter":
            assert bool(documented[name][1]) == is_labelled, name


def parsers() -> Iterator[tuple[str, list[argparse.ArgumentParser]]]:
    """Each command with the parsers whose options it takes; one with a fixed list of actions for each action."""
    for name, (module, _) in COMMANDS.items():
        parser = argparse.ArgumentParser(prog=f"tagify {name}")
        import_module(f"tagify.cli.{module}").configure(parser)
        nested = [item for item in parser._actions if isinstance(item, argparse._SubParsersAction)]
        words = [item for item in parser._actions if item.dest == "action" and item.choices]
        if nested:
            yield from ((f"{name} {sub}", [parser, child]) for sub, child in nested[0].choices.items())
        elif words:
            yield from ((f"{name} {word}", [parser]) for word in words[0].choices or ())
        else:
            yield name, [parser]


def test_every_subcommand_is_documented_with_its_options() -> None:
    defined = {
        name: {
            option.lstrip("-")
            for parser in chain
            for action in parser._actions
            for option in action.option_strings
            if option.startswith("--")
        }
        - UNDOCUMENTED
        for name, chain in parsers()
    }
    rows = re.findall(r"^\| `tagify ([a-z ]+)` \| (.*?) ?\| ", CLI, re.MULTILINE)
    assert {name: set(re.findall(r"`--([a-z0-9-]+)`", options)) for name, options in rows} == defined


INDEXES = {
    "images": indexes.IMAGES,
    "jobs": indexes.JOBS,
    "libraries": indexes.LIBRARIES,
    "purges": indexes.PURGES,
    "tags": indexes.TAGS,
    "undos": indexes.UNDOS,
}


@pytest.mark.parametrize("collection", INDEXES)
def test_every_index_is_documented_and_exists(collection: str) -> None:
    defined = {index.document["name"]: dict(index.document["key"]) for index in INDEXES[collection]}
    assert documented_indexes(collection) == defined


def mapped_fields(*functions: Callable[..., object]) -> set[str]:
    """The fields that these functions of `mapping` read from or write to a document."""
    fields = set()
    for node in (node for function in functions for node in ast.walk(ast.parse(getsource(function)))):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "doc":
            fields.add(ast.literal_eval(node.slice))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "doc.get":
            fields.add(ast.literal_eval(node.args[0]))
        elif isinstance(node, ast.Dict):
            fields |= {ast.literal_eval(key) for key in node.keys if isinstance(key, ast.Constant)}
    return fields


def test_the_fields_of_an_image_are_documented() -> None:
    mapped = mapped_fields(
        mapping.image_from_doc, mapping.file_from_doc, mapping.file_fields, mapping.picture_fields
    )
    internal = {"_id", "missing_since", "kept_tags", "keywords_read", "tag_log"}
    assert documented_fields("images") == mapped | internal


def test_the_fields_of_a_library_are_documented() -> None:
    internal = {"_id", "created_at", "keeper", "recounted_at", "removal"}
    assert documented_fields("libraries") == mapped_fields(mapping.library_from_doc) | internal


def test_every_collection_is_documented_and_its_fields_exist() -> None:
    names = {node.attr for source in catalog_sources() for node in ast.walk(source) if is_collection(node)}
    assert documented_collections() == names
    literals = {
        node.value
        for source in catalog_sources()
        for node in ast.walk(source)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    words = {word for literal in literals for word in re.split(r"[.$]", literal)}
    assert {field for name in names for field in documented_fields(name)} <= words


def catalog_sources() -> Iterator[ast.AST]:
    for path in sorted((ROOT / "tagify/catalog").rglob("*.py")):
        yield ast.parse(path.read_text())


def is_collection(node: ast.AST) -> TypeGuard[ast.Attribute]:
    return (
        isinstance(node, ast.Attribute)
        and ast.unparse(node.value).rpartition(".")[2] in ("database", "_database")
        and node.attr not in ("availability", "watch")
    )

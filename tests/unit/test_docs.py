"""The documents agree with the code: routes, settings and make targets are compared."""

import re
from pathlib import Path

import pytest
from aiohttp import web

import api.app
import edge.app
from api.openapi import OPERATIONS
from tagify.settings import PREFIX, SERVICES, ApiSettings, EdgeSettings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ROUTES = (ROOT / "docs/reference/routes.md").read_text()
SETTINGS = (ROOT / "docs/settings.md").read_text()
SHARED = {"/livez", "/readyz", "/metrics"}


def routes(app: web.Application) -> set[tuple[str, str]]:
    return {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


def documented(service: str) -> set[tuple[str, str]]:
    rows = re.findall(rf"^\| `([A-Z ]+) (\S+?)` \| {service} \|", ROUTES, re.MULTILINE)
    return {(method, path) for methods, path in rows for method in methods.split() if method != "HEAD"}


@pytest.mark.parametrize(
    ("service", "app"),
    [("api", api.app.build(ApiSettings())), ("edge", edge.app.build(EdgeSettings()))],
)
def test_the_route_table_is_the_router(service: str, app: web.Application) -> None:
    built = {(method, path) for method, path in routes(app) if path not in SHARED}
    assert documented(service) == built
    assert {path for _, path in routes(app)} >= SHARED


def test_the_openapi_document_is_of_every_route_and_no_other() -> None:
    built = {(method, path) for method, path in routes(api.app.build(ApiSettings()))}
    assert built == OPERATIONS.keys()


def test_the_settings_table_is_the_models() -> None:
    rows = dict(re.findall(r"^\| `(TAGIFY_\w+)` \| (.*?) \|", SETTINGS, re.MULTILINE))
    expected = {}
    for model in SERVICES:
        for name, field in model.model_fields.items():
            default = field.default
            if hasattr(default, "get_secret_value"):
                default = default.get_secret_value()
            if isinstance(default, tuple):
                default = ",".join(map(str, default))
            expected[PREFIX + name.upper()] = f"`{default}`" if str(default) else "(empty)"
            assert field.description, name
    assert rows == expected


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", README)) | set(
        re.findall(r"^ *make ([a-z-]+)", README, re.MULTILINE)
    )
    assert named
    assert named <= targets

"""From the route table and its description to an OpenAPI 3.1 document."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import hdrs, web
from pydantic import TypeAdapter

from api.openapi.models import Problem
from api.openapi.operation import Answer, Operation, Query

Json = dict[str, Any]

_REFERENCES = "#/components/schemas/{model}"


def routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """Method and path of every route; HEAD goes with GET."""
    for route in app.router.routes():
        if route.resource is not None and route.method != hdrs.METH_HEAD:
            yield route.method, route.resource.canonical


def describe(app: web.Application, operations: Mapping[tuple[str, str], Operation], version: str) -> Json:
    """The document of the routes that the application has now."""
    schemas = _Schemas()
    problem = {"$ref": "#/components/responses/Problem"}
    paths: Json = {}
    for method, path in routes(app):
        if (operation := operations.get((method, path))) is not None:
            paths.setdefault(path, {})[method.lower()] = _operation(path, operation, schemas, problem)
    content = {"application/problem+json": {"schema": schemas.of(Problem)}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tagify",
            "version": version,
            "summary": "Images of watched folders: lists, tags, libraries, events.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.found,
            "responses": {
                "Problem": {
                    "description": "What went wrong (RFC 9457); Retry-After says when to come again.",
                    "content": content,
                }
            },
        },
    }


class _Schemas:
    """The schemas of all models that were asked for."""

    def __init__(self) -> None:
        self.found: Json = {}

    def of(self, model: Any) -> Json:
        """The schema of a model, by reference where it has a name."""
        schema = TypeAdapter(model).json_schema(ref_template=_REFERENCES, mode="serialization")
        self.found |= schema.pop("$defs", {})
        name = schema.get("title", "")
        if schema.get("type") == "object" and name:
            self.found[name] = schema
            return {"$ref": _REFERENCES.format(model=name)}
        return schema


def _operation(path: str, operation: Operation, schemas: _Schemas, problem: Json) -> Json:
    parameters = [*map(_in_path, re.findall(r"\{(\w+)\}", path))]
    parameters += [_parameter(query, "query") for query in operation.query]
    parameters += [_parameter(header, "header") for header in operation.headers]
    described: Json = {
        "tags": [operation.group],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            **{str(answer.status): _answer(answer, schemas) for answer in operation.answers},
            "default": problem,
        },
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schemas.of(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    return described


def _answer(answer: Answer, schemas: _Schemas) -> Json:
    described: Json = {"description": answer.about}
    if answer.model is not None:
        described["content"] = {answer.kind: {"schema": schemas.of(answer.model)}}
    if answer.headers:
        described["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in answer.headers.items()
        }
    return described


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _parameter(query: Query, place: str) -> Json:
    parameter = {
        "name": query.name,
        "in": place,
        "description": query.about,
        "schema": dict(query.schema),
    }
    return parameter | ({"style": "form", "explode": True} if query.many else {})

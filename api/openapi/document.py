"""Builds the OpenAPI 3.1 document from the route table and `OPERATIONS`."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from aiohttp import hdrs, web
from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.openapi.models import ProblemSchema
from api.openapi.operation import Operation, Parameter, ResponseSpec

Json = dict[str, Any]

_REF_TEMPLATE = "#/components/schemas/{model}"

_SUFFIX = "Schema"
"""Ends the names of the model classes; it sets them apart from the classes of `tagify.model`."""


def documented_routes(app: web.Application) -> Iterator[tuple[str, str]]:
    """Method and path of every route; HEAD is left out, it follows GET."""
    for route in app.router.routes():
        if route.resource is not None and route.method != hdrs.METH_HEAD:
            yield route.method, route.resource.canonical


def build_document(
    app: web.Application, operations: Mapping[tuple[str, str], Operation], version: str
) -> Json:
    """The OpenAPI document of the application's present routes."""
    schemas = _Components()
    problem = {"$ref": "#/components/responses/Problem"}
    paths: Json = {}
    for method, path in documented_routes(app):
        if (operation := operations.get((method, path))) is not None:
            paths.setdefault(path, {})[method.lower()] = _operation_json(path, operation, schemas, problem)
    content = {"application/problem+json": {"schema": schemas.schema_ref(ProblemSchema)}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tagify",
            "version": version,
            "summary": "Images of watched folders: lists, tags, libraries, events.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas.schemas,
            "responses": {
                "Problem": {
                    "description": "An error (RFC 9457). `Retry-After`: time until a retry may succeed.",
                    "content": content,
                }
            },
        },
    }


class _SchemaGenerator(GenerateJsonSchema):
    """Names components without the suffix `Schema` that the classes carry."""

    def normalize_name(self, name: str) -> str:
        return super().normalize_name(name).removesuffix(_SUFFIX)

    def typed_dict_schema(self, schema: Any) -> Json:
        json_schema = super().typed_dict_schema(schema)
        json_schema["title"] = json_schema["title"].removesuffix(_SUFFIX)
        return json_schema


class _Components:
    """The schemas of the document, collected by component name."""

    def __init__(self) -> None:
        self.schemas: Json = {}

    def schema_ref(self, model: Any) -> Json:
        """The schema of a model: a reference for named models, else inline."""
        schema = TypeAdapter(model).json_schema(
            ref_template=_REF_TEMPLATE, schema_generator=_SchemaGenerator, mode="serialization"
        )
        self.schemas |= schema.pop("$defs", {})
        name = schema.get("title", "")
        if schema.get("type") == "object" and name:
            self.schemas[name] = schema
            return {"$ref": _REF_TEMPLATE.format(model=name)}
        return schema


def _operation_json(path: str, operation: Operation, schemas: _Components, problem: Json) -> Json:
    parameters = [*map(_path_parameter, re.findall(r"\{(\w+)\}", path))]
    parameters += [_parameter_json(query, "query") for query in operation.query_params]
    parameters += [_parameter_json(header, "header") for header in operation.headers]
    operation_json: Json = {
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            **{str(answer.status): _response_json(answer, schemas) for answer in operation.responses},
            "default": problem,
        },
    }
    if operation.body is not None:
        content = {"application/json": {"schema": schemas.schema_ref(operation.body)}}
        operation_json["requestBody"] = {"required": True, "content": content}
    return operation_json


def _response_json(response: ResponseSpec, schemas: _Components) -> Json:
    response_json: Json = {"description": response.description}
    if response.model is not None:
        response_json["content"] = {response.media_type: {"schema": schemas.schema_ref(response.model)}}
    if response.headers:
        response_json["headers"] = {
            name: {"description": about, "schema": {"type": "string"}}
            for name, about in response.headers.items()
        }
    return response_json


def _path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _parameter_json(parameter: Parameter, location: str) -> Json:
    parameter_json: Json = {
        "name": parameter.name,
        "in": location,
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }
    return parameter_json | ({"style": "form", "explode": True} if parameter.repeatable else {})

"""The description of one route in the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query or header parameter; `repeatable`: it may occur several times."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A response: status, description, and the model and media type of its body, if any.

    `headers`: response headers with their descriptions.
    """

    status: int
    description: str
    model: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """Summary, parameters, request body and non-error responses of a route."""

    tag: str
    summary: str
    responses: tuple[ResponseSpec, ...]
    query_params: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    body: Any = None

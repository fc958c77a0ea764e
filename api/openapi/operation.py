"""What the document says of one route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query string; `many`: it may be given several times."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """An answer: a status, what it means, and its body's model, if any, under its media type.

    `headers` are those that tell something beside the body, with what they tell.
    """

    status: int
    description: str
    model: Any = None
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route does, what it is given and what it answers beside problems."""

    tag: str
    summary: str
    responses: tuple[ResponseSpec, ...]
    query_params: tuple[Parameter, ...] = ()
    headers: tuple[Parameter, ...] = ()
    body: Any = None

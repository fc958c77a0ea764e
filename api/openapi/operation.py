"""What the document says of one route."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter of the query string; `many`: it may be given several times."""

    name: str
    about: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    many: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: a status, what it means, and its body's model, if any, under its media type.

    `headers` are those that tell something beside the body, with what they tell.
    """

    status: int
    about: str
    model: Any = None
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route does, what it is given and what it answers beside problems."""

    group: str
    summary: str
    answers: tuple[Answer, ...]
    query: tuple[Query, ...] = ()
    headers: tuple[Query, ...] = ()
    body: Any = None

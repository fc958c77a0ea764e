"""The service itself, and what goes wrong."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.openapi.models.fields import no_extra_members


@no_extra_members
class HealthSchema(TypedDict):
    """The service answers."""

    status: Literal["ok"]


@no_extra_members
class ReadinessSchema(TypedDict):
    """Whether each dependency is well, in words."""

    status: Literal["ok", "unready"]
    checks: dict[str, str]


class ProblemSchema(TypedDict):
    """An error (RFC 9457). `type` never changes; `detail` is a sentence for people."""

    type: Annotated[str, Field(pattern="^urn:tagify:problem:")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: NotRequired[str]

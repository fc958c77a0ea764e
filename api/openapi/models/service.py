"""Schemas of health checks and errors."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.openapi.models.fields import no_extra_members


@no_extra_members
class HealthSchema(TypedDict):
    """The service responds."""

    status: Literal["ok"]


@no_extra_members
class ReadinessSchema(TypedDict):
    """The state of each dependency: `ok` or the reason of the failure."""

    status: Literal["ok", "unready"]
    checks: dict[str, str]


class ProblemSchema(TypedDict):
    """An error (RFC 9457). `type` is stable; `detail` is a message for people."""

    type: Annotated[str, Field(pattern="^urn:tagify:problem:")]
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    detail: NotRequired[str]

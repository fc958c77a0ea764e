"""Field types shared by the models."""

from typing import Annotated

from pydantic import ConfigDict, Field, with_config

no_extra_members = with_config(ConfigDict(extra="forbid"))
"""Class decorator: a model without further members (`additionalProperties: false`)."""

Id = Annotated[str, Field(pattern="^[0-9a-f]{24}$", description="24 hex digits.")]
ContentHash = Annotated[
    str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file's bytes, in hex.")
]
Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Count = Annotated[int, Field(ge=0)]

"""The OpenAPI document of the API, made from its route table and from the models of what it says."""

from api.openapi.document import build_document
from api.openapi.operations import OPERATIONS

__all__ = ["OPERATIONS", "build_document"]

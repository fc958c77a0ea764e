"""The OpenAPI document of the API, generated from its route table and its request and response models."""

from api.openapi.document import build_document
from api.openapi.operations import OPERATIONS

__all__ = ["OPERATIONS", "build_document"]

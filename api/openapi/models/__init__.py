"""Request and response models: the schemas of the OpenAPI document.

A class `ImageSchema` is the component `Image`. Responses are written by `api.serializers` and the
handlers; a test checks that they match these models exactly.
"""

from api.openapi.models.images import ImageSchema, PageSchema, PlainImageSchema, SignedUrlSchema
from api.openapi.models.libraries import (
    ApprovalSchema,
    LibraryChangeSchema,
    LibrarySchema,
    NewLibrarySchema,
    ProgressSchema,
)
from api.openapi.models.service import HealthSchema, ProblemSchema, ReadinessSchema
from api.openapi.models.tags import (
    ChangedSchema,
    ChangeSchema,
    NewRenameSchema,
    RenameSchema,
    RetaggedOneSchema,
    TagCountSchema,
    TagNames,
    UndoWishSchema,
)

__all__ = [
    "ApprovalSchema",
    "ChangeSchema",
    "ChangedSchema",
    "HealthSchema",
    "ImageSchema",
    "LibraryChangeSchema",
    "LibrarySchema",
    "NewLibrarySchema",
    "NewRenameSchema",
    "PageSchema",
    "PlainImageSchema",
    "ProblemSchema",
    "ProgressSchema",
    "ReadinessSchema",
    "RenameSchema",
    "RetaggedOneSchema",
    "SignedUrlSchema",
    "TagCountSchema",
    "TagNames",
    "UndoWishSchema",
]

"""What the API is sent and what it answers, as types: the schemas of the OpenAPI document.

Answers are written by `api.serializers` and the handlers; a test holds that what they write is this
and nothing beside it.
"""

from api.openapi.models.images import Image, Page, PlainImage, SignedUrl
from api.openapi.models.libraries import Library, NewLibrary, NewName, Progress
from api.openapi.models.service import Health, Problem, Readiness
from api.openapi.models.tags import (
    Change,
    Changed,
    NewRename,
    Rename,
    RetaggedOne,
    TagCount,
    TagNames,
    UndoWish,
)

__all__ = [
    "Change",
    "Changed",
    "Health",
    "Image",
    "Library",
    "NewLibrary",
    "NewName",
    "NewRename",
    "Page",
    "PlainImage",
    "Problem",
    "Progress",
    "Readiness",
    "Rename",
    "RetaggedOne",
    "SignedUrl",
    "TagCount",
    "TagNames",
    "UndoWish",
]

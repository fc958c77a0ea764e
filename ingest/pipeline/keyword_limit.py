"""Limits the keywords that one file adds as tags."""

import logging
from dataclasses import replace

from tagify.catalog import ImageCommand, UpsertImage
from tagify.logs import fields
from tagify.tagnames import MAX_KEYWORDS

logger = logging.getLogger(__name__)


def limit_keywords(command: ImageCommand, absolute_path: str) -> ImageCommand:
    """The command with its first MAX_KEYWORDS keywords; the number of those left out is logged."""
    picture = command.picture if isinstance(command, UpsertImage) else None
    if not isinstance(command, UpsertImage) or picture is None or len(picture.keywords) <= MAX_KEYWORDS:
        return command
    logger.warning(
        "keywords left out: a file adds at most %d tags",
        MAX_KEYWORDS,
        extra=fields(file=absolute_path, left_out=len(picture.keywords) - MAX_KEYWORDS),
    )
    return replace(command, picture=replace(picture, keywords=picture.keywords[:MAX_KEYWORDS]))

"""Limits the keywords that one file adds as tags."""

import logging
from dataclasses import replace

from tagify.catalog import UpsertImage
from tagify.logs import fields
from tagify.tagnames import MAX_KEYWORDS

logger = logging.getLogger(__name__)


def limit_keywords(command: UpsertImage, absolute_path: str) -> UpsertImage:
    """The command with its first MAX_KEYWORDS keywords; the number of those left out is logged."""
    picture = command.picture
    if picture is None or len(picture.keywords) <= MAX_KEYWORDS:
        return command
    logger.warning(
        "keywords left out: a file adds at most %d tags",
        MAX_KEYWORDS,
        extra=fields(file=absolute_path, left_out=len(picture.keywords) - MAX_KEYWORDS),
    )
    return replace(command, picture=replace(picture, keywords=picture.keywords[:MAX_KEYWORDS]))

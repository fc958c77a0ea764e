"""Tags that begin with what somebody has typed, most used first, straight from an index.

Each tag keeps the beginnings of its key up to HEAD characters (edge n-grams, as search engines call
them), and one index has for each beginning the tags in order of their counts: an answer reads what
it returns and no more. Behind a longer beginning the few that share its head are looked through.
"""

from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

from tagify.tagnames import tag_key

PREFIX_LENGTH = 6
"""Characters of the longest beginning that is kept. Each one more is an index entry more per tag."""

MAX_CHARACTER = "\U0010ffff"
"""Sorts behind whatever a tag may contain, and is in none (it is no character)."""


def prefixes(key: str) -> list[str]:
    """The beginnings that are kept of a tag's key."""
    return [key[:length] for length in range(1, min(len(key), PREFIX_LENGTH) + 1)]


def prefix_query(prefix: str) -> dict[str, Any]:
    """The query for tags that begin with this, in any case; all where it is empty."""
    key = tag_key(prefix.lstrip())
    if not key:
        return {}
    query: dict[str, Any] = {"heads": key[:PREFIX_LENGTH]}
    return query | {"key": {"$gte": key, "$lt": key + MAX_CHARACTER}} if len(key) > PREFIX_LENGTH else query


async def backfill_prefixes(tags: AsyncCollection[dict[str, Any]]) -> None:
    """Give heads to the tags that have none, as those written before there were any."""
    lengths = {"$range": [1, {"$add": [{"$min": [PREFIX_LENGTH, {"$strLenCP": "$key"}]}, 1]}]}
    kept = {"$map": {"input": lengths, "as": "length", "in": {"$substrCP": ["$key", 0, "$$length"]}}}
    await tags.update_many({"heads": None}, [{"$set": {"heads": kept}}])

"""Autocomplete of tags: those that start with a prefix, most used first, read from one index.

Each tag stores the prefixes of its key up to PREFIX_LENGTH characters (edge n-grams). For each prefix
the index has the tags in order of their counts, so a query reads only what it returns. For a longer
prefix it scans the few tags that share the first PREFIX_LENGTH characters.
"""

from typing import Any

from pymongo.asynchronous.collection import AsyncCollection

from tagify.tagnames import tag_key

PREFIX_LENGTH = 6
"""Length of the longest stored prefix, in characters. Each additional one costs an index entry per tag."""

MAX_CHARACTER = "\U0010ffff"
"""Sorts after every character of a tag, and occurs in none (Unicode noncharacter)."""


def prefixes(key: str) -> list[str]:
    """The prefixes stored for a tag's key (edge n-grams)."""
    return [key[:length] for length in range(1, min(len(key), PREFIX_LENGTH) + 1)]


def prefix_query(prefix: str) -> dict[str, Any]:
    """The filter for tags that start with `prefix`, in any case; an empty prefix matches all."""
    key = tag_key(prefix.lstrip())
    if not key:
        return {}
    query: dict[str, Any] = {"heads": key[:PREFIX_LENGTH]}
    return query | {"key": {"$gte": key, "$lt": key + MAX_CHARACTER}} if len(key) > PREFIX_LENGTH else query


async def backfill_prefixes(tags: AsyncCollection[dict[str, Any]]) -> None:
    """Add the prefixes to tags written by versions that did not store them."""
    lengths = {"$range": [1, {"$add": [{"$min": [PREFIX_LENGTH, {"$strLenCP": "$key"}]}, 1]}]}
    computed = {"$map": {"input": lengths, "as": "length", "in": {"$substrCP": ["$key", 0, "$$length"]}}}
    await tags.update_many({"heads": None}, [{"$set": {"heads": computed}}])

"""Hypothesis strategies for requests of one representation, mostly near its boundaries."""

from datetime import datetime, timedelta

from hypothesis import strategies as st

from tests.support.rfc9110 import EntityTag, ModelRequest, RangeSpec


def range_specs(length: int) -> st.SearchStrategy[RangeSpec]:
    """Ranges inside, at and beyond the ends of a body; some are malformed."""
    number = st.one_of(
        st.integers(0, length + 2), st.sampled_from((0, 1, max(0, length - 1), length, length + 1, 10**25))
    )
    return st.builds(RangeSpec, st.none() | number, st.none() | number)


def range_lists(length: int) -> st.SearchStrategy[tuple[RangeSpec, ...]]:
    """Short lists of ranges, many of them valid."""
    valid = st.integers(0, length).flatmap(
        lambda first: st.builds(RangeSpec, st.just(first), st.integers(first, first + 1 + length // 20))
    )
    return st.one_of(
        st.just(()),
        st.tuples(range_specs(length)),
        st.lists(valid, min_size=2, max_size=12).map(tuple),
        st.lists(range_specs(length), max_size=4).map(tuple),
    )


def requests(length: int, etag: str, modified: datetime) -> st.SearchStrategy[ModelRequest]:
    """Requests with every combination of ranges and preconditions."""
    tag = st.one_of(
        st.builds(EntityTag, st.sampled_from((etag, "other", "", "a,b")), st.booleans()),
        st.just(EntityTag(None)),
    )
    tags = st.one_of(
        st.just(()),
        st.just(()),
        st.lists(tag.filter(lambda t: t.value is not None), max_size=3).map(tuple),
        st.tuples(st.just(EntityTag(None))),
    )
    date = st.sampled_from([modified + timedelta(seconds=delta) for delta in (-3600, -1, 0, 1)])
    return st.builds(
        ModelRequest,
        method=st.sampled_from(("GET", "GET", "GET", "HEAD")),
        ranges=range_lists(length),
        if_range=st.one_of(st.none(), st.none(), tag.filter(lambda t: t.value is not None), date),
        if_match=tags,
        if_none_match=tags,
        if_modified_since=st.one_of(st.none(), st.none(), date),
        if_unmodified_since=st.one_of(st.none(), st.none(), date),
    )

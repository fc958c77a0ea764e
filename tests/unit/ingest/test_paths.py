"""Encoding of file names for the catalog, and excluded names."""

import os

from hypothesis import given
from hypothesis import strategies as st

from ingest.paths import Exclusions, to_catalog, to_os


@given(st.binary(max_size=60))
def test_every_name_is_encoded_reversibly(raw: bytes) -> None:
    encoded = to_catalog(os.fsdecode(raw))
    encoded.encode("utf-8")
    assert os.fsencode(to_os(encoded)) == raw


@given(st.text(max_size=30), st.text(max_size=30))
def test_different_names_are_encoded_differently(first: str, second: str) -> None:
    try:
        raw = os.fsencode(first), os.fsencode(second)
    except UnicodeEncodeError:
        return
    assert (to_catalog(os.fsdecode(raw[0])) == to_catalog(os.fsdecode(raw[1]))) == (raw[0] == raw[1])


def test_exclusions_match_any_part_of_a_path() -> None:
    exclusions = Exclusions((".*", "@eaDir", "*.tmp"))
    assert exclusions.matches_path("a/@eaDir/b.jpg")
    assert exclusions.matches_path("a/.hidden/b.jpg")
    assert exclusions.matches_path("b.tmp")
    assert not exclusions.matches_path("a/b.jpg")
    assert not Exclusions(()).matches_path(".a")

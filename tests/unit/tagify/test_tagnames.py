"""Names of tags: what is kept of one, what is none, and which are the same tag."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.tagnames import MAX_LENGTH, TagSpellings, normalize_keywords, normalize_tag, tag_key

WORDS = st.text("aAäÄßſİıσςΣ\u0301\u0308é ", min_size=1, max_size=8)


@given(st.text(max_size=MAX_LENGTH + 20))
def test_a_name_is_kept_trimmed_in_nfc_and_short_or_is_none(name: str) -> None:
    try:
        kept = normalize_tag(name)
    except ValueError as reason:
        assert str(reason).startswith("a tag ")
        return
    assert 1 <= len(kept) <= MAX_LENGTH
    assert kept == unicodedata.normalize("NFC", name).strip() == normalize_tag(kept)
    assert not any(unicodedata.category(char)[0] == "C" and char < "\xa0" for char in kept)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        (" \t ", "empty"),
        ("x" * 101, "at most 100 characters, this one has 101"),
        *((f"a{char}b", "control characters") for char in "\0\n\t\x7f\x85\u2028\u2029"),
        ("\ud800", "control characters"),
    ],
)
def test_what_is_no_name_is_told_why(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        normalize_tag(name)


def test_the_length_is_counted_in_characters_once_they_are_composed() -> None:
    assert normalize_tag("e\u0301" * 100) == "é" * 100
    assert normalize_tag("🌊" * 100) == "🌊" * 100
    assert normalize_tag("  Sea Side ") == "Sea Side"


@given(WORDS)
def test_case_makes_no_other_tag(name: str) -> None:
    for other in (name.upper(), name.lower(), name.title(), unicodedata.normalize("NFD", name)):
        if other.casefold() == name.casefold() or unicodedata.normalize("NFC", other) == name:
            assert tag_key(other) == tag_key(name)
    assert tag_key(tag_key(name)) == tag_key(name)


def test_examples_of_one_tag_and_of_two() -> None:
    assert tag_key("STRASSE") == tag_key("Straße")
    assert tag_key("Σ") == tag_key("ς")
    assert tag_key("É") == tag_key("e\u0301")
    assert tag_key("sea") != tag_key("séa")


def test_keywords_that_are_no_names_are_left_out_and_each_tag_comes_once() -> None:
    assert normalize_keywords(["Sea", "", "sea", "x" * 101, "a\0b", " sun "]) == ("Sea", "sun")


def test_a_tag_keeps_the_spelling_that_came_first() -> None:
    spelling = TagSpellings({"sea": "Sea"})
    assert spelling.spellings_of(["SEA", "Sun", "SUN", "sea"]) == ["Sea", "Sun"]

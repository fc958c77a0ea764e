"""Names of tags: what is kept of one, what is none, and which are the same tag."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.tagnames import MAX_LENGTH, Spelling, clean, clean_all, key_of

WORDS = st.text("aAäÄßſİıσςΣ\u0301\u0308é ", min_size=1, max_size=8)


@given(st.text(max_size=MAX_LENGTH + 20))
def test_a_name_is_kept_trimmed_in_nfc_and_short_or_is_none(name: str) -> None:
    try:
        kept = clean(name)
    except ValueError as reason:
        assert str(reason).startswith("a tag ")
        return
    assert 1 <= len(kept) <= MAX_LENGTH
    assert kept == unicodedata.normalize("NFC", name).strip() == clean(kept)
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
        clean(name)


def test_the_length_is_counted_in_characters_once_they_are_composed() -> None:
    assert clean("e\u0301" * 100) == "é" * 100
    assert clean("🌊" * 100) == "🌊" * 100
    assert clean("  Sea Side ") == "Sea Side"


@given(WORDS)
def test_case_makes_no_other_tag(name: str) -> None:
    for other in (name.upper(), name.lower(), name.title(), unicodedata.normalize("NFD", name)):
        if other.casefold() == name.casefold() or unicodedata.normalize("NFC", other) == name:
            assert key_of(other) == key_of(name)
    assert key_of(key_of(name)) == key_of(name)


def test_examples_of_one_tag_and_of_two() -> None:
    assert key_of("STRASSE") == key_of("Straße")
    assert key_of("Σ") == key_of("ς")
    assert key_of("É") == key_of("e\u0301")
    assert key_of("sea") != key_of("séa")


def test_keywords_that_are_no_names_are_left_out_and_each_tag_comes_once() -> None:
    assert clean_all(["Sea", "", "sea", "x" * 101, "a\0b", " sun "]) == ("Sea", "sun")


def test_a_tag_keeps_the_spelling_that_came_first() -> None:
    spelling = Spelling({"sea": "Sea"})
    assert spelling.all(["SEA", "Sun", "SUN", "sea"]) == ["Sea", "Sun"]

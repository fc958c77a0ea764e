"""Tag names: normalisation, invalid names, and names of the same tag."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.tagnames import MAX_LENGTH, TagSpellings, normalize_keywords, normalize_tag, tag_key

WORDS = st.text("aAäÄßſİıσςΣ\u0301\u0308é ", min_size=1, max_size=8)


@given(st.text(max_size=MAX_LENGTH + 20))
def test_name_is_normalised_or_rejected(name: str) -> None:
    try:
        normalized = normalize_tag(name)
    except ValueError as reason:
        assert str(reason).startswith("a tag ")
        return
    assert 1 <= len(normalized) <= MAX_LENGTH
    assert normalized == unicodedata.normalize("NFC", name).strip() == normalize_tag(normalized)
    assert not any(unicodedata.category(char)[0] == "C" and char < "\xa0" for char in normalized)


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
def test_invalid_name_is_rejected_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        normalize_tag(name)


def test_length_is_counted_in_composed_characters() -> None:
    assert normalize_tag("e\u0301" * 100) == "é" * 100
    assert normalize_tag("🌊" * 100) == "🌊" * 100
    assert normalize_tag("  Sea Side ") == "Sea Side"


@given(WORDS)
def test_names_that_differ_in_case_have_one_key(name: str) -> None:
    for other in (name.upper(), name.lower(), name.title(), unicodedata.normalize("NFD", name)):
        if other.casefold() == name.casefold() or unicodedata.normalize("NFC", other) == name:
            assert tag_key(other) == tag_key(name)
    assert tag_key(tag_key(name)) == tag_key(name)


def test_examples_of_equal_and_different_keys() -> None:
    assert tag_key("STRASSE") == tag_key("Straße")
    assert tag_key("Σ") == tag_key("ς")
    assert tag_key("É") == tag_key("e\u0301")
    assert tag_key("sea") != tag_key("séa")


def test_invalid_and_duplicate_keywords_are_dropped() -> None:
    assert normalize_keywords(["Sea", "", "sea", "x" * 101, "a\0b", " sun "]) == ("Sea", "sun")


def test_first_spelling_of_a_tag_is_kept() -> None:
    spelling = TagSpellings({"sea": "Sea"})
    assert spelling.spellings_of(["SEA", "Sun", "SUN", "sea"]) == ["Sea", "Sun"]

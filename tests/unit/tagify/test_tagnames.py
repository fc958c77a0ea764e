"""Tag names: normalisation, invalid names, and names of the same tag."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.tagnames import (
    EXPANDED_CHARACTERS,
    MAX_LENGTH,
    TagSpellings,
    full_folding_key,
    normalize_existing_tag,
    normalize_keywords,
    normalize_tag,
    tag_key,
)

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
        if "ß" in name:
            continue  # its upper case is "SS", the key of which is that of "ss"
        if other.casefold() == name.casefold() or unicodedata.normalize("NFC", other) == name:
            assert tag_key(other) == tag_key(name)
    assert tag_key(tag_key(name)) == tag_key(name)


def test_examples_of_equal_and_different_keys() -> None:
    assert tag_key("MASSE") == tag_key("Masse") != tag_key("Maße") == tag_key("MAẞE")
    assert tag_key("ﬁn") != tag_key("fin")
    assert tag_key("Σ") == tag_key("ς")
    assert tag_key("É") == tag_key("e\u0301")
    assert tag_key("sea") != tag_key("séa")


def test_invalid_and_duplicate_keywords_are_dropped() -> None:
    assert normalize_keywords(["Sea", "", "sea", "x" * 101, "a\0b", " sun "]) == ("Sea", "sun")


def test_first_spelling_of_a_tag_is_kept() -> None:
    spelling = TagSpellings({"sea": "Sea"})
    assert spelling.spellings_of(["SEA", "Sun", "SUN", "sea"]) == ["Sea", "Sun"]


def test_only_expanded_characters_have_another_key_than_before() -> None:
    changed = {char for char in map(chr, range(0x110000)) if full_folding_key(char) != tag_key(char)}
    assert changed == {char for char in changed if re.match(f"[{EXPANDED_CHARACTERS}]", char)}
    assert not any(char.isspace() for char in changed)


@pytest.mark.parametrize(
    "name",
    [
        "\u200b",
        "\u200d\ufe0f",
        "\u3164",
        "\xad",
        "\u2800",
        "\U000e0020",
        " \u2060 ",
        "\u115f\u1160",
        "\ufeff",
        "\u180e",
    ],
)
def test_an_invisible_tag_is_refused_and_can_be_removed(name: str) -> None:
    with pytest.raises(ValueError, match="invisible"):
        normalize_tag(name)
    assert normalize_existing_tag(name) == name.strip()
    assert normalize_keywords([name]) == ()


@pytest.mark.parametrize(
    "name",
    [
        "\U0001fae9",  # Unicode 16: face with bags under eyes
        "\U0001fac8",  # Unicode 17
        "\U0001f6d8",  # Unicode 17
        "\U00016ea0",  # Unicode 17: Beria Erfe
        "\U000105c0",  # Unicode 16: Todhri
        "\u0870",
        "👩\u200d🚀",
        "❤\ufe0f",
        "क\u094d\u200dष",
        "می\u200cخواهم",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ],
)
def test_any_script_and_emoji_is_taken(name: str) -> None:
    assert normalize_tag(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize("char", ["\ufdd0", "\ufffe", "\uffff", "\U0010ffff", "\ue000"])
def test_noncharacters_and_private_use_are_refused(char: str) -> None:
    with pytest.raises(ValueError, match="control characters"):
        normalize_tag(f"a{char}")

"""Encoding of file names for the catalog, and excluded names."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.paths import Exclusions, is_image_name, to_catalog, to_os
from tagify.settings.ingest import IngestSettings


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


@pytest.mark.parametrize(
    "name", ["a.jfif", "a.HIF", "a.mpo", "a.apng", "a.jpe", "a.pjpeg", "a.JPG", "a.heics", "a.avifs", "a.dib"]
)
def test_every_suffix_of_a_readable_format_is_an_image(name: str) -> None:
    assert is_image_name(name)


@pytest.mark.parametrize("name", ["a.txt", "a", "jpg", "a.jpg.xmp", "a.mov", ".jpg"])
def test_other_files_are_no_images(name: str) -> None:
    assert not is_image_name(name)


@pytest.mark.parametrize(
    "folder",
    [
        "#recycle",
        "#snapshot",
        "@Recycle",
        "@eaDir",
        "$RECYCLE.BIN",
        "System Volume Information",
        "Holiday.photoslibrary",
        ".Trash",
    ],
)
def test_folders_of_systems_and_programs_are_excluded_by_default(folder: str) -> None:
    exclusions = Exclusions(IngestSettings.model_fields["ingest_exclude"].default)
    assert exclusions.matches_path(f"a/{folder}/b.jpg")
    assert not exclusions.matches_path("recycle/photoslibrary/#1.jpg")

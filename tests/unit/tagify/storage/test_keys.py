"""Object keys: content-addressed, and recognized again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagify.model import THUMB_RECIPE, Bucket, Content
from tagify.settings import CommonSettings
from tagify.storage.keys import ObjectKeys

CONTENT = Content("ab" + "0" * 62)


def keys(prefix: str = "") -> ObjectKeys:
    return ObjectKeys(CommonSettings(s3_key_prefix=prefix))


@pytest.mark.parametrize("prefix", ["", "photos/"])
def test_a_key_is_derived_from_the_content(prefix: str) -> None:
    assert keys(prefix).object_key(Bucket.ORIGINALS, CONTENT) == f"{prefix}ab/{CONTENT}"
    assert keys(prefix).object_key(Bucket.THUMBS, CONTENT) == f"{prefix}{THUMB_RECIPE}/ab/{CONTENT}"


def test_the_path_of_a_url_starts_with_the_bucket() -> None:
    assert keys().url_path(Bucket.ORIGINALS, CONTENT) == f"/tagify-originals/ab/{CONTENT}"


@given(st.binary(min_size=32, max_size=32), st.sampled_from(list(Bucket)), st.sampled_from(["", "a/b/"]))
def test_the_content_of_a_key_is_recognized(digest: bytes, bucket: Bucket, prefix: str) -> None:
    content = Content(digest.hex())
    assert keys(prefix).content_of(keys(prefix).object_key(bucket, content)) == content


@pytest.mark.parametrize("key", ["", "ab", f"cd/{CONTENT}", f"ab/{CONTENT}x", "ab/" + "g" * 64, CONTENT])
def test_other_keys_have_no_content(key: str) -> None:
    assert keys().content_of(key) is None

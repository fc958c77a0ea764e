"""Settings: every invalid variable is reported in one line that says what to change."""

import pytest
from pydantic import ValidationError

from tagify.errors import SettingsError
from tagify.settings import ApiSettings, EdgeSettings, IngestSettings, load


def test_lists_are_comma_separated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAGIFY_LIBRARY_ROOTS", "/a, /b")
    monkeypatch.setenv("TAGIFY_MEDIA_WIDTHS", "100,200")
    settings = load(EdgeSettings)
    assert [str(root) for root in settings.library_roots] == ["/a", "/b"]
    assert settings.media_widths == (100, 200)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TAGIFY_MONGO_UIR", "x", "did you mean TAGIFY_MONGO_URI?"),
        ("TAGIFY_INGEST_WORKERS", "33", "TAGIFY_INGEST_WORKERS"),
        ("TAGIFY_MONGO_URI", "http://db", "mongodb://"),
        ("TAGIFY_S3_ENDPOINT", "http://user:secret@store", "must not carry credentials"),
        ("TAGIFY_LIBRARY_ROOTS", "photos", "absolute"),
        ("TAGIFY_CORS_ORIGINS", "photos.example.org", "not an origin"),
        ("TAGIFY_LOG_LEVEL", "loud", "TAGIFY_LOG_LEVEL"),
    ],
)
def test_invalid_variable_is_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load(IngestSettings)
    assert reason in str(caught.value)
    assert "secret" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_settings_are_frozen_and_hide_secrets() -> None:
    settings = ApiSettings(s3_secret_key="hush", mongo_uri="mongodb://user:hush@db/")
    with pytest.raises(ValidationError):
        settings.api_port = 1  # type: ignore[misc]
    assert "hush" not in repr(settings)

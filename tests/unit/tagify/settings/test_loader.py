"""Settings: every invalid variable is reported in one line that says what to change."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tagify.errors import SettingsError
from tagify.settings import ApiSettings, EdgeSettings, IngestSettings, load
from tagify.settings.file_version import version_line, with_version


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


@pytest.mark.parametrize(("release", "is_ignored"), [("999.0.0", True), ("0.0.9", False), ("", False)])
def test_unknown_setting_is_ignored_if_the_file_is_for_a_newer_release(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    release: str,
    is_ignored: bool,
) -> None:
    file = tmp_path / "tagify.env"
    line = version_line(release) if release else "# settings"
    file.write_text(f"{line}\nTAGIFY_FUTURE=1\nTAGIFY_INGEST_WORKERS=7\n")
    monkeypatch.setenv("TAGIFY_SETTINGS_FILE", str(file))
    if is_ignored:
        assert load(IngestSettings).ingest_workers == 7
        assert "setting of a newer release ignored: TAGIFY_FUTURE: unknown setting" in caplog.text
    else:
        with pytest.raises(SettingsError, match="TAGIFY_FUTURE: unknown setting"):
            load(IngestSettings)


def test_invalid_and_unknown_variables_stay_errors_beside_a_newer_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "tagify.env"
    file.write_text(f"{version_line('999.0.0')}\nTAGIFY_INGEST_WORKERS=none\n")
    monkeypatch.setenv("TAGIFY_SETTINGS_FILE", str(file))
    monkeypatch.setenv("TAGIFY_FUTURE", "1")
    with pytest.raises(SettingsError) as caught:
        load(IngestSettings)
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == [
        "TAGIFY_FUTURE",
        "TAGIFY_INGEST_WORKERS",
    ]


def test_the_version_line_of_a_settings_file_only_rises() -> None:
    text = with_version("TAGIFY_DRAIN_S=1\n", "0.9.0")
    assert text == version_line("0.9.0") + "\nTAGIFY_DRAIN_S=1\n"
    assert with_version(text, "0.8.9") == text
    assert with_version(text, "0.10.0") == version_line("0.10.0") + "\nTAGIFY_DRAIN_S=1\n"


def test_settings_are_frozen_and_hide_secrets() -> None:
    settings = ApiSettings(s3_secret_key="hush", mongo_uri="mongodb://user:hush@db/")
    with pytest.raises(ValidationError):
        settings.api_port = 1  # type: ignore[misc]
    assert "hush" not in repr(settings)

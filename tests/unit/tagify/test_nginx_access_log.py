"""Counters of NGINX's caches from its access log, also where lines are damaged."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tagify.cli.main import main
from tagify.deploy.nginx.access_log import AccessLogUnreadable, cache_metrics

LINES = """\
{"zone":"media","cache":"HIT","bytes":100}
{"zone":"media","cache":"HIT","bytes":50}
{"zone":"media","cache":"MISS","bytes":1}
{"zone":"originals","cache":"STALE","bytes":7}
{"zone":"","cache":"","bytes":1000}
{"cache":"HIT","bytes":1000}
null
127.0.0.1 - - a line of another format
{"zone":"media","cache":"HI"""


def counted(text: str) -> dict[tuple[str, ...], float]:
    return {
        (item.name, *(text for _, text in sorted(item.labels.items()))): item.value
        for family in text_string_to_metric_families(text)
        for item in family.samples
    }


def test_responses_and_bytes_are_counted_by_zone(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text(LINES)
    responses, sent = "tagify_nginx_cache_responses_total", "tagify_nginx_cache_sent_bytes_total"
    assert counted(cache_metrics(log)) == {
        (responses, "hit", "media"): 2,
        (responses, "miss", "media"): 1,
        (responses, "stale", "originals"): 1,
        (sent, "media"): 151,
        (sent, "originals"): 7,
    }


def test_a_missing_log_is_one_line_that_says_what_to_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AccessLogUnreadable, match="TAGIFY_NGINX_ACCESS_LOG"):
        cache_metrics(tmp_path / "none.log")
    assert main(["nginx", "metrics", "--log", str(tmp_path / "none.log")]) == 1
    error = capsys.readouterr().err
    assert "No such file or directory: run it as root" in error
    assert error.count("\n") == 1

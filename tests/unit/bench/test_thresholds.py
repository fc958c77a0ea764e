"""bench/thresholds.toml: its bounds are those of docs/performance.md, and `make bench-check` checks them."""

import json
import re
from pathlib import Path

import pytest

from bench.lib.results import ROOT, recorded
from bench.lib.thresholds import MET, MISSING, NOT_MET, Threshold, check, thresholds

DOCUMENT = " ".join((ROOT / "docs/performance.md").read_text().split())


@pytest.mark.parametrize("threshold", thresholds(), ids=str)
def test_the_document_has_the_sentence_and_the_sentence_the_bound(threshold: Threshold) -> None:
    assert threshold.sentence in DOCUMENT
    numbers = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", threshold.sentence)}
    assert threshold.bound in numbers


@pytest.mark.parametrize("threshold", thresholds(), ids=str)
def test_the_suite_of_a_threshold_exists_and_records_results(threshold: Threshold) -> None:
    source = (ROOT / "bench/suites" / f"{threshold.suite}.py").read_text()
    assert f'recorded("{threshold.suite}")' in source


def test_every_suite_records_results() -> None:
    suites = [path for path in (ROOT / "bench/suites").glob("*.py") if path.stem != "__init__"]
    assert suites
    assert [path.stem for path in suites if f'recorded("{path.stem}")' not in path.read_text()] == []


def test_a_run_is_recorded_with_its_circumstances(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with recorded("example", tmp_path) as results:
        results.figures("page 1", ours_per_s=1234.5678)
        results.ratios("page 1", ours_to_baseline=2)
    result = json.loads((tmp_path / "example.json").read_text())
    assert result["figures"] == {"page 1": {"ours_per_s": 1235.0}}
    assert result["ratios"] == {"page 1": {"ours_to_baseline": 2.0}}
    assert {"suite", "date", "commit", "command", "machine"} <= result.keys()
    assert result["machine"]["cores"] >= 1
    assert str(tmp_path / "example.json") in capsys.readouterr().out


def test_a_run_that_fails_leaves_no_result(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), recorded("example", tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("bound", "value", "state"),
    [
        ({"at_least": 2.0}, 2.0, MET),
        ({"at_least": 2.0}, 1.9, NOT_MET),
        ({"at_most": 2.0}, 2.0, MET),
        ({"at_most": 2.0}, 2.1, NOT_MET),
        ({"at_most": 2.0}, None, MISSING),
    ],
)
def test_a_threshold_is_compared_with_the_newest_result(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bound: dict[str, float],
    value: float | None,
    state: str,
) -> None:
    if value is not None:
        with recorded("example", tmp_path) as results:
            results.ratios("warm", edge_to_peer=value)
    threshold = Threshold("example", ("ratios", "warm", "edge_to_peer"), "It is twice as fast.", **bound)
    assert check([threshold], tmp_path) == [state]
    printed = capsys.readouterr().out
    assert "example: ratios / warm / edge_to_peer" in printed
    assert ("It is twice as fast." in printed) is (state == NOT_MET)


def test_a_result_without_the_figure_is_reported_as_missing(tmp_path: Path) -> None:
    with recorded("example", tmp_path) as results:
        results.ratios("cold", edge_to_peer=1)
    threshold = Threshold("example", ("ratios", "warm", "edge_to_peer"), "", at_least=1)
    assert check([threshold], tmp_path) == [MISSING]

"""A results file has all that was measured, and is all that pictures and the scaling page need."""

import json
from pathlib import Path

import pytest

from bench import report
from bench.costs import read_costs
from bench.figure import Figure
from bench.measure import Sample
from bench.plot import plots


def sample(rate: float, *, gateway: float | None = None) -> Sample:
    return Sample(
        requests=1000,
        rate=rate,
        p50_ms=1.0,
        p99_ms=2.0,
        p999_ms=3.0,
        authorizer_us=40.0,
        gateway_us=gateway,
        authorizer_mib=80.0,
        gateway_mib=gateway,
        unrecorded=0,
        asked=1.0,
    )


SAMPLES = {
    ("Envoy", "extauthz"): [sample(900.0, gateway=60.0), sample(700.0, gateway=80.0), sample(800.0, gateway=70.0)],
    ("Envoy", "no-op"): [sample(1000.0, gateway=60.0)] * 3,
}


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    monkeypatch.setattr("bench.report.RESULTS", tmp_path)
    figures = [*report.ratios(SAMPLES), Figure(key="P4_cpu", title="µs", values=[900.0])]
    file = report.write(SAMPLES, figures, ["peers: one is not measured"], rounds=3, seconds=1.0, load_before=0.5)
    document: dict[str, object] = json.loads(file.read_text(encoding="utf-8"))
    return document


def test_a_results_file_has_targets_rounds_and_remarks(written: dict[str, object]) -> None:
    """The ratio is of rounds that are near each other in time."""
    assert written["targets"] == {"P2": {"value": 0.8, "target": ">= 0.85", "met": False}}
    assert written["notes"] == ["peers: one is not measured"]
    assert written["rounds"] == 3


def test_a_results_file_is_enough_for_the_pictures(written: dict[str, object]) -> None:
    """All four of them."""
    assert [name for name, _ in plots(written)] == ["rate", "latency", "cpu", "memory"]


def test_a_results_file_is_enough_for_the_scaling_page(written: dict[str, object]) -> None:
    """The costs are found by the names under which they are written."""
    costs = read_costs(written)
    measured = {name: cost.value for name, cost in costs.items() if cost.measured}
    assert measured == {"envoy_us": 40.0, "envoy_gateway_us": 70.0, "new_us": 900.0}


def test_the_table_has_every_percentile() -> None:
    """Up to the one in a thousand."""
    head, _, row, *_ = report.table(SAMPLES).splitlines()
    assert head.endswith("| p50 ms | p99 ms | p99.9 ms |")
    assert row.endswith("| 1.00 (1.00-1.00) | 2.00 (2.00-2.00) | 3.00 (3.00-3.00) |")

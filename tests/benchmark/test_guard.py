"""A decision costs no more than its budget, and whoever makes it cost more is told what and how much."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.guard import excesses, main, table, write_budget

ROOT = Path(__file__).parents[2]
BUDGET = {"envoy": {"instructions": 1000.0}, "a cached token": {"kept_bytes": 2000.0}}


@pytest.mark.timeout(300)
def test_a_decision_costs_no_more_than_its_budget() -> None:
    """By Python's own count, in a process of its own. Too much: make it cheaper, or `make bench-guard ARGS=--update`."""
    command = [sys.executable, "-m", "bench.guard"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_within_the_slack_is_no_excess() -> None:
    """A tenth more, but not more than that; less is always good."""
    assert excesses({"envoy": {"instructions": 1099.0}, "a cached token": {"kept_bytes": 10.0}}, BUDGET) == []


def test_an_excess_names_the_part_and_how_much_it_grew() -> None:
    """Each by itself: one part may grow without the others."""
    counts = {"envoy": {"instructions": 1250.0}, "a cached token": {"kept_bytes": 2000.0}}
    assert excesses(counts, BUDGET) == ["envoy: instructions 1,250, budget 1,000: +25%"]


def test_what_has_no_budget_and_what_is_no_longer_counted_are_excesses() -> None:
    """A guard that looks away is none."""
    assert excesses({"envoy": {"instructions": 1000.0}, "nginx": {"calls": 9.0}}, BUDGET) == [
        "nginx: calls has no budget; it is 9",
        "a cached token: has a budget and is not counted",
    ]


def test_what_is_accepted_is_the_budget_from_then_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget of other Python versions stays."""
    file = tmp_path / "budget.yaml"
    file.write_text("'2.7': {envoy: {instructions: 5}}\n", encoding="utf-8")
    monkeypatch.setattr("bench.guard.BUDGET", file)
    write_budget({"envoy": {"instructions": 1234.4}})
    text = file.read_text(encoding="utf-8")
    assert "'2.7':\n  envoy:\n    instructions: 5\n" in text
    assert "    instructions: 1234\n" in text


def test_a_python_version_without_a_budget_is_told_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another version counts otherwise, so nothing is compared."""
    monkeypatch.setattr("bench.guard.BUDGET", tmp_path / "budget.yaml")
    monkeypatch.setattr("bench.guard.count", _nothing)
    assert main([]) == 0
    assert "no budget for Python" in capsys.readouterr().out


async def _nothing() -> dict[str, dict[str, float]]:
    return {}


def test_the_table_has_cost_and_budget_side_by_side() -> None:
    """For whoever looks without a failure."""
    assert table({"envoy": {"instructions": 999.6}}, BUDGET) == "envoy:                      instructions 1,000 (1,000)"

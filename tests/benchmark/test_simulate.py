"""The scaling page is what the command prints, and the command does what it says."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.costs import Costs, newest, read_costs
from bench.simulate import PAGE, Case, fleet, page, tables_of, with_tables

COSTS: Costs = read_costs({"systems": []})
SMALL = Case(users=10_000, requests=2_000)


def test_the_scaling_page_has_the_tables_of_the_newest_results() -> None:
    """Otherwise: make scaling."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == with_tables(text, tables_of(newest(), Case())), "docs/scaling.md is out of date: make scaling"


def test_costs_come_from_the_file_where_it_has_them() -> None:
    """The median of the rounds; what stands in is marked."""
    document = {
        "systems": [{"section": "Envoy", "name": "extauthz", "authorizer_us": {"median": 33.0}}],
        "figures": {"P7a": {"median": 1.2}},
    }
    costs = read_costs(document)
    assert (costs["envoy_us"].value, costs["envoy_us"].measured) == (33.0, True)
    assert (costs["token_kib"].value, costs["token_kib"].measured) == (1.2, True)
    assert not costs["nginx_us"].measured
    assert "not in that file: assumed" in page(SMALL, costs, "a file")


def test_the_newest_results_are_the_latest_by_what_they_say_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """File names begin with the date, but two of one day would not be in order."""
    monkeypatch.setattr("bench.costs.RESULTS", tmp_path)
    with pytest.raises(FileNotFoundError, match="make bench"):
        newest()
    (tmp_path / "2026-01-01-z.json").write_text('{"at": "2026-01-01T10:00:00+00:00"}', encoding="utf-8")
    (tmp_path / "2026-01-01-a.json").write_text('{"at": "2026-01-01T11:00:00+00:00"}', encoding="utf-8")
    assert newest().name == "2026-01-01-a.json"


def test_there_are_as_many_workers_as_their_cores_are_needed() -> None:
    """With room for bursts, and no more than one to spare."""
    found = fleet(SMALL, COSTS)
    assert found.cores <= found.workers * 0.6 < found.cores + 0.6


def test_users_that_stay_with_few_workers_need_fewer_of_them() -> None:
    """Less is read from Redis."""
    spread = replace(SMALL, users=1e6, requests=50_000)
    assert fleet(replace(spread, reach=2), COSTS).cores < fleet(spread, COSTS).cores


def test_what_breaks_first_is_what_has_the_least_room() -> None:
    """Short answers and many users: the authorization server; the other way round: the memory."""
    many = replace(SMALL, users=1e6, requests=20_000)
    assert fleet(replace(many, ttl=5.0, shared=False), COSTS).first == "authorization server"
    assert fleet(replace(many, ttl=3600.0, lifetime=7200.0), COSTS).first == "`max_entries`"


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    """Rather than written to its end."""
    with pytest.raises(ValueError, match="has no lines"):
        with_tables("no marks", "tables")

"""A run is whole: everything that can be asked for is measured by something, and every target is judged."""

from bench.cast import CAST
from bench.figure import Figure
from bench.measure import ROWS
from bench.report import RATIOS
from bench.targets import ALL, MEASURES, SECTIONS, judged, sections


def test_whatever_can_be_asked_for_is_measured() -> None:
    """By rows or by itself, and nothing is measured that cannot be asked for."""
    assert {*ALL} == {*MEASURES, *SECTIONS}
    assert len({*ALL}) == len(ALL)


def test_every_section_has_rows_and_can_be_asked_for() -> None:
    """Sections are written in two places; a name that is in one alone would be left out in silence."""
    assert sections(ALL) == {*ROWS}
    assert sections(["P5"]) == set()


def test_ratios_compare_rows_of_sections_that_there_are() -> None:
    """A ratio whose rows are not there is not calculated, and would not be missed."""
    assert {row[0] for ratio in RATIOS for row in (ratio.top, ratio.bottom)} <= {*ROWS}


def test_the_parts_of_the_rows_have_names_of_their_own() -> None:
    """Gateways among them begin with what they are, and so does extauthz, which has to know all tokens."""
    assert {name.split()[0] for name in CAST} == {"h2corn", "grpcio", "asgi", "return", "extauthz", "envoy", "nginx"}


def test_a_target_of_several_figures_is_met_only_if_all_are() -> None:
    """The one that is missed stands outside."""
    met = Figure(key="P3a", title="one", values=[0.8], target=">= 0.7")
    missed = Figure(key="P3b", title="other", values=[1.2], target=">= 1.3")
    found = judged([met, missed, Figure(key="P3_more", title="for information", values=[1.0])])
    assert found["P3"]["met"] is False
    assert found["P3"]["value"] == 1.2
    assert {*found["P3"]["figures"]} == {"P3a", "P3b"}
    assert judged([met]) == {"P3": {"value": 0.8, "target": ">= 0.7", "met": True}}

"""Patterns are RE2's: a bad one is told at once, and none takes long."""

import pickle

import pytest

from extauthz.config.patterns import Re2Pattern, parse_pattern
from extauthz.config.values import Misfit


@pytest.mark.parametrize("text", ["(", "a{2000}", "(?=x)", r"(a)\1", "[z-a]", "x" * 1001, "(((a{100}){100}){100})"])
def test_a_bad_pattern_is_refused(text: str) -> None:
    """So is one that would take too much memory, and look-around, which RE2 does not have."""
    with pytest.raises(Misfit, match="pattern"):
        parse_pattern(text)


def test_a_number_is_no_pattern() -> None:
    """It needs quotes."""
    with pytest.raises(Misfit, match="quotes"):
        parse_pattern(5)


def test_a_pattern_that_would_backtrack_elsewhere_is_judged_at_once() -> None:
    """A backtracking engine needs 2**8000 steps here; the test's time limit is the measure."""
    assert not parse_pattern("(a*)*b|(a|aa)+$c").fits("a" * 8000)


def test_patterns_are_compared_by_their_text() -> None:
    """So are the rules that have them."""
    assert parse_pattern("a+") == parse_pattern("a+") != parse_pattern("a*")


def test_a_pattern_survives_the_way_to_another_process() -> None:
    """Compiled anew there."""
    arrived = pickle.loads(pickle.dumps(parse_pattern("[0-9]+")))  # noqa: S301 - our own
    assert isinstance(arrived, Re2Pattern)
    assert arrived.fits("12")
    assert not arrived.fits("12x")


@pytest.mark.parametrize(("text", "lowest"), [("v[0-9]+", "v0"), ("[0-9]{4}|abc", "0000"), (".*x", "\0"), ("a*", "")])
def test_the_lowest_text_is_a_candidate(text: str, lowest: str) -> None:
    assert parse_pattern(text).lowest() == lowest

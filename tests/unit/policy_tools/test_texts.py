"""Texts are made up for patterns as operators write them; none is better than one that does not fit."""

import pytest

from extauthz.config.patterns import parse_pattern
from extauthz.policy_tools.texts import text_for, texts_for

COMMON = [
    "[0-9]+",
    "[1-9][0-9]{0,18}",
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "v[0-9]+(beta[0-9]+)?",
    "[0-9]{4}-[01][0-9]-[0-3][0-9]",
    "(de|en|fr)(-[A-Z]{2})?",
    "(?i)orders|items",
    "[^/]+",
    ".*",
    r".+@example\.com",
    r"\d{3}-\w+",
    "[A-Za-z0-9_-]{22}",
]


@pytest.mark.parametrize("pattern", COMMON)
def test_a_common_pattern_has_a_text(pattern: str) -> None:
    """And it fits."""
    text = text_for(parse_pattern(pattern))
    assert text is not None
    assert parse_pattern(pattern).fits(text)


@pytest.mark.parametrize("pattern", ["a*b*.*[0-9]q7", "[^\\x00-\\x{10FFFF}]", ""])
def test_no_text_is_made_up_that_does_not_fit(pattern: str) -> None:
    """Whoever needs one then says nothing."""
    compiled = parse_pattern(pattern) if pattern else parse_pattern("()")
    assert all(compiled.fits(text) for text in texts_for(compiled))

"""Texts made up to match a pattern, or not to match any."""

from collections.abc import Iterable

from extauthz.config.patterns import parse_pattern
from extauthz.core.claims import Pattern

_COMMON = (
    *("1", "a", "any", "A", "v1", "en", "2000-01-01", "a@example.com", "https://example.com/", "example.com", "a.b"),
    "00000000-0000-4000-8000-000000000000",
    "0" * 24,
    "0" * 32,
    "0" * 40,
)


def text_for(pattern: Pattern, others: Iterable[Pattern] = ()) -> str | None:
    """A text that the pattern matches, best one that the `others` do not match; None when none comes to mind."""
    rivals = [*others]
    lowest = parse_pattern(pattern.text).lowest()
    fitting = [text for text in (lowest, *_COMMON) if text and text.isprintable() and pattern.fits(text)]
    return min(fitting, key=lambda text: sum(other.fits(text) for other in rivals), default=None)

"""Texts made up to match a pattern."""

from extauthz.config.patterns import parse_pattern
from extauthz.core.pattern import Pattern

_COMMON = (
    *("1", "a", "any", "A", "v1", "en", "2000-01-01", "a@example.com", "https://example.com/", "example.com", "a.b"),
    "00000000-0000-4000-8000-000000000000",
    "0" * 24,
    "0" * 32,
    "0" * 40,
)


def texts_for(pattern: Pattern) -> list[str]:
    """Texts that the pattern matches, as far as some come to mind."""
    lowest = parse_pattern(pattern.text).lowest()
    return [text for text in dict.fromkeys((lowest, *_COMMON)) if text and text.isprintable() and pattern.fits(text)]


def text_for(pattern: Pattern) -> str | None:
    """The first of them, or None."""
    return next(iter(texts_for(pattern)), None)

"""One object for equal values that many tokens have: a cache holds 100,000 tokens of a few issuers, clients and audiences."""

from functools import lru_cache

_LONGEST = 256
"""Characters; a longer text, or an audience of more names than that, is kept as it comes. So little is remembered."""


def shared_text(text: str | None) -> str | None:
    """An equal text."""
    return text if text is None or len(text) > _LONGEST else _text(text)


def shared_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """An equal tuple."""
    return names if sum(map(len, names)) > _LONGEST else _names(names)


@lru_cache(maxsize=1024)
def _text(text: str) -> str:
    return text


@lru_cache(maxsize=1024)
def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return names

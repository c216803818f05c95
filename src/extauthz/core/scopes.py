"""Scope strings and sets (RFC 6749 §3.3): case-sensitive words, compared byte for byte, no prefixes, no wildcards.

One word stands for others only where the policy says so.
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")

_LONGEST_REMEMBERED = 2048
"""Characters; a longer scope is read each time, so that what is remembered cannot grow large."""


def parse_scope(text: str) -> tuple[str, ...]:
    """Read a `scope` value by the strict grammar of RFC 6749 §3.3; order is kept, duplicates are dropped.

    Raises:
        ValueError: when the text is empty, has stray whitespace or an illegal character.
    """
    words = text.split(" ")
    for word in words:
        if SCOPE_TOKEN.fullmatch(word) is None:
            raise ValueError(f"{text!r} is not a list of scope words separated by single spaces (RFC 6749 section 3.3)")
    return tuple(dict.fromkeys(words))


def lenient_scope(text: str) -> tuple[str, ...]:
    """Read what an authorization server said: extra spaces are forgiven, words outside the grammar are dropped."""
    return tuple(dict.fromkeys(word for word in text.split(" ") if SCOPE_TOKEN.fullmatch(word)))


def read_scope(text: str) -> tuple[frozenset[str], str]:
    """What `lenient_scope` finds, as a set and as text.

    Many tokens have the same scope. They get the same objects, which are most of what a cached token would take.
    """
    return _remembered_scope(text) if len(text) <= _LONGEST_REMEMBERED else _set_and_text(text)


def _set_and_text(text: str) -> tuple[frozenset[str], str]:
    words = lenient_scope(text)
    return frozenset(words), " ".join(words)


_remembered_scope = lru_cache(maxsize=1024)(_set_and_text)


Implications = Mapping[str, frozenset[str]]
"""What each scope implies, directly or by way of others."""


def all_implied(direct: Mapping[str, Iterable[str]]) -> Implications:
    """What each scope implies in the end, out of what each one implies directly.

    Raises:
        ValueError: when a scope implies itself.
    """
    return {word: frozenset(_reached(word, direct)) for word in direct}


def _reached(start: str, direct: Mapping[str, Iterable[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = [*direct[start]]
    while waiting:
        word = waiting.pop()
        if word == start:
            raise ValueError(f"{start} implies itself")
        if word not in reached:
            reached.add(word)
            waiting += direct.get(word, ())
    return reached


def held_scopes(scopes: frozenset[str], implications: Implications) -> frozenset[str]:
    """The scopes of a token and all that they imply."""
    return scopes.union(*(implications[word] for word in scopes if word in implications))

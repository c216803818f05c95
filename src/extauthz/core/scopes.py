"""Scope strings and sets (RFC 6749 §3.3): case-sensitive words, compared byte for byte, no prefixes, no wildcards."""

import re

SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+")


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

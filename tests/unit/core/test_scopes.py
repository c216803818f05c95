"""Scope words (RFC 6749 §3.3): strict in our files, lenient about spaces in what a server says, exact in comparison."""

import pytest

from extauthz.core.scopes import all_implied, held_scopes, lenient_scope, parse_scope, read_scope

WORDS = {
    "one": ("orders:read", ("orders:read",)),
    "two": ("orders:read orders:write", ("orders:read", "orders:write")),
    "order is kept": ("b a", ("b", "a")),
    "a repeated word counts once": ("b a b", ("b", "a")),
    "case matters": ("Orders:Read orders:read", ("Orders:Read", "orders:read")),
    "the ends of the character set": ("! # [ ] ~", ("!", "#", "[", "]", "~")),
    "a URL": ("https://as.example.com/auth/orders", ("https://as.example.com/auth/orders",)),
}

STRAY_SPACES = {
    "empty": ("", ()),
    "spaces only": ("   ", ()),
    "two between": ("a  b", ("a", "b")),
    "two between repeated words": ("orders:read  orders:read", ("orders:read",)),
    "before": (" a", ("a",)),
    "after": ("a ", ("a",)),
}

ILLEGAL_WORDS = {
    "tab between": ("orders:read\torders:write", ()),
    "line feed at the end": ("a b\n", ("a",)),
    "carriage return": ("a\r b", ("b",)),
    "NUL": ("a\x00 b", ("b",)),
    "quote": ('a"b c', ("c",)),
    "backslash": ("a\\b c", ("c",)),
    "DEL": ("a\x7f b", ("b",)),
    "Latin-1": ("caf\xe9 b", ("b",)),
    "no-break space": ("a\xa0b c", ("c",)),
    "line separator": ("a\u2028b c", ("c",)),
    "lone surrogate": ("a\ud800 b", ("b",)),
}


@pytest.mark.shows("S43")
@pytest.mark.parametrize(("text", "words"), WORDS.values(), ids=WORDS)
def test_both_readers_agree_on_what_the_grammar_allows(text: str, words: tuple[str, ...]) -> None:
    """A legal value means the same wherever it comes from."""
    assert parse_scope(text) == words
    assert lenient_scope(text) == words


@pytest.mark.shows("S43")
@pytest.mark.parametrize("text", [text for text, _ in (STRAY_SPACES | ILLEGAL_WORDS).values()])
def test_the_strict_reader_refuses_whatever_the_grammar_does_not_allow(text: str) -> None:
    """A policy file is corrected by its author, not by us."""
    with pytest.raises(ValueError, match="RFC 6749"):
        parse_scope(text)


@pytest.mark.parametrize(("text", "words"), STRAY_SPACES.values(), ids=STRAY_SPACES)
def test_the_lenient_reader_forgives_spaces(text: str, words: tuple[str, ...]) -> None:
    """Servers are careless with spaces, and nothing depends on them."""
    assert lenient_scope(text) == words


@pytest.mark.parametrize(("text", "words"), ILLEGAL_WORDS.values(), ids=ILLEGAL_WORDS)
def test_the_lenient_reader_drops_illegal_words_and_keeps_the_rest(text: str, words: tuple[str, ...]) -> None:
    """A word outside the grammar grants nothing, neither whole nor in parts."""
    assert lenient_scope(text) == words


def test_tokens_with_the_same_scope_share_what_was_read() -> None:
    """Whatever the answer of the server that it came in; so a cache of many tokens holds each scope once."""
    one, other = read_scope("orders:read  orders:write"), read_scope("orders:read  orders:write")
    assert one == (frozenset({"orders:read", "orders:write"}), "orders:read orders:write")
    assert (one[0] is other[0], one[1] is other[1]) == (True, True)


def test_a_very_long_scope_is_read_like_any_other_and_not_remembered() -> None:
    """What a server could fill our memory with is never kept."""
    text = " ".join(f"word{number}" for number in range(1000))
    one, other = read_scope(text), read_scope(text)
    assert (one, one[0] is other[0]) == ((frozenset(text.split()), text), False)


STEPS = {"admin": ("write", "audit"), "write": ("read",)}


@pytest.mark.shows("S45")
@pytest.mark.parametrize(
    ("scopes", "held"),
    [
        ("admin", "admin write audit read"),
        ("write", "write read"),
        ("read", "read"),
        ("other audit", "other audit"),
        ("Admin administrator", "Admin administrator"),
        ("", ""),
    ],
)
def test_a_scope_implies_what_the_policy_says_and_nothing_else(scopes: str, held: str) -> None:
    """In as many steps as there are, downwards only, by exact words."""
    assert held_scopes(frozenset(scopes.split()), all_implied(STEPS)) == frozenset(held.split())


@pytest.mark.shows("S45")
@pytest.mark.parametrize(
    "direct", [{"a": ("a",)}, {"a": ("b",), "b": ("a",)}, {"x": ("a",), "a": ("b",), "b": ("c",), "c": ("d", "a")}]
)
def test_a_circle_is_an_error(direct: dict[str, tuple[str, ...]]) -> None:
    """Its scopes would be one scope under several names, which nobody means."""
    with pytest.raises(ValueError, match="implies itself"):
        all_implied(direct)

"""Which tokens can be a server's at all."""

import pytest

from extauthz.core.token import Token
from extauthz.resolver.shape import ALPHABETS, ANY_SHAPE, TokenShape


@pytest.mark.parametrize(
    ("shape", "fitting", "others"),
    [
        (TokenShape(prefix="ory_at_"), ["ory_at_x", "ory_at_"], ["ory_rt_x", "ORY_AT_x", "xory_at_x", "ory_at"]),
        (TokenShape(min_length=3, max_length=4), ["abc", "abcd"], ["ab", "abcde"]),
        (TokenShape(min_length=3), ["abc", "x" * 8192], ["ab"]),
        (TokenShape(prefix="a.", max_length=4), ["a.bc"], ["a.bcd", "axbc"]),
        (TokenShape(alphabet="hex"), ["0123456789abcdefABCDEF"], ["abcg", "ab-", "ab\n"]),
        (TokenShape(prefix="t-", alphabet="hex"), ["t-0f"], ["0f", "t-t-0f"]),
        (TokenShape(alphabet="alphanumeric"), ["azAZ09"], ["a_b", "a-b", "ä"]),
        (TokenShape(alphabet="base64url"), ["azAZ09-_"], ["a.b", "a+b", "a/b", "a="]),
        (
            TokenShape(alphabet="jwt"),
            ["e.e.s", "e.e.", "e..i.c.t"],
            ["e", "e.e", "e.e.s.x", ".e.s", "e.e.s=", "e.e.i.c.t.x"],
        ),
        (ANY_SHAPE, ["a", "a+b/c==", "x" * 8192], []),
    ],
    ids=["prefix", "length", "open end", "dot", "hex", "hex after prefix", "alphanumeric", "base64url", "jwt", "any"],
)
def test_what_fits(shape: TokenShape, fitting: list[str], others: list[str]) -> None:
    """The whole token, with its prefix."""
    assert [text for text in (*fitting, *others) if shape.fits(Token(text))] == fitting


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_odd_tokens_are_judged_quickly(alphabet: str) -> None:
    """No pattern can be made to try many ways: this would never end."""
    shape = TokenShape(alphabet=alphabet)
    for text in ("." * 8000, "a." * 4000, "a" * 8000 + "!", "." * 8000 + "!"):
        shape.fits(Token(text))

"""A signed answer is for whom names it and does not prefer the plain one."""

import pytest

from extauthz.authserver.accept import wants_signed

SIGNED = b"application/token-introspection+jwt"


@pytest.mark.parametrize(
    "accept",
    [
        [SIGNED],
        [b"Application/Token-Introspection+JWT"],
        [SIGNED + b"; charset=utf-8"],
        [SIGNED + b", application/json;q=0.9"],
        [b"application/json", SIGNED],
        [SIGNED + b";q=0.1, */*"],
    ],
)
def test_it_is_wanted(accept: list[bytes]) -> None:
    """A range like `*/*` is no preference for the plain one (RFC 9110 §12.5.1: the more specific counts)."""
    assert wants_signed(accept)


@pytest.mark.parametrize(
    "accept",
    [
        [],
        [b"*/*"],
        [b"application/json"],
        [b"application/json, " + SIGNED + b";q=0.5"],
        [SIGNED + b";q=0"],
        [SIGNED + b";q=much"],
        [SIGNED + b";q=nan"],
        [b"x" + SIGNED],
        [b"application/jwt"],
    ],
)
def test_it_is_not_wanted(accept: list[bytes]) -> None:
    """Then the answer is JSON, as RFC 7662 has it."""
    assert not wants_signed(accept)

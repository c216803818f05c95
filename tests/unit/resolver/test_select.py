"""Among several servers a token belongs to exactly one, or to none; nobody is tried."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, strategies as st

from extauthz.core.token import Token
from extauthz.resolver.select import Marks, Selector

A, B = "https://a.example.com", "https://b.example.com"
MARKS = {
    "a": Marks(issuer=A),
    "b": Marks(issuer=B),
    "gitlab": Marks(prefix="glpat-"),
    "gitlab-ci": Marks(prefix="glpat-ci-"),
    "old": Marks(opaque=True, issuer="https://old.example.com"),
    "old2": Marks(opaque=True, prefix="old2_"),
}
ALL = " ".join(MARKS)


def jwt(**claims: object) -> str:
    parts = ({"alg": "ES256"}, claims, "x")
    return ".".join(urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


def choose(token: str, names: str = ALL) -> str:
    return Selector(MARKS).choose(names, Token(token))


@pytest.mark.parametrize(
    ("token", "name"),
    [
        ("glpat-x", "gitlab"),
        ("glpat-ci-x", "gitlab-ci"),
        ("old2_x", "old2"),
        ("GLPAT-x", "old"),
        ("x", "old"),
        ("mF_9.B5f-4.1JqM", "old"),
        (jwt(iss=A), "a"),
        (jwt(iss=B, sub="x"), "b"),
        (jwt(iss=A + "/"), ""),
        (jwt(iss="https://old.example.com"), ""),
        (jwt(iss="https://evil.example.com"), ""),
        (jwt(iss=[A]), ""),
        (jwt(), ""),
        (jwt(iss=A) + "=", ""),
        (jwt(iss=A) + ".x.y", "old"),
    ],
)
def test_a_token_belongs_to_one_server_or_to_none(token: str, name: str) -> None:
    """By its prefix, by the issuer that a JWT names, or because it is neither."""
    assert choose(token) == name


def test_only_servers_that_the_route_allows_are_chosen() -> None:
    """A token of another one is worth nothing there, and nobody is asked."""
    assert choose(jwt(iss=B), "a gitlab") == ""
    assert choose("x", "a gitlab") == ""
    assert choose("glpat-ci-x", "a gitlab") == "gitlab"


@given(token=st.text(st.sampled_from("glpat-ci_old2xeyJ.0")), order=st.permutations(list(MARKS)))
def test_the_order_of_the_servers_changes_nothing(token: str, order: list[str]) -> None:
    """As the choice is by the token alone."""
    assert choose(token, " ".join(order)) == choose(token)

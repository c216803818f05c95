"""A condition on a claim is met by the right value of the right type, and by nothing else."""

from typing import Any

import pytest

from extauthz.config.patterns import parse_pattern
from extauthz.core.claims import ClaimRule
from extauthz.core.decision import Reason
from extauthz.core.demands import Demands
from extauthz.core.introspection import Active


def token(**claims: Any) -> Active:  # noqa: ANN401 - any JSON value
    """A live token with these claims."""
    return Active(scopes=frozenset(), sub="u1", client_id="app", claims=claims)


IS = {
    "the text": (("acme",), "acme", True),
    "another text": (("acme",), "acme2", False),
    "another case": (("acme",), "Acme", False),
    "one of several": (("gold", "silver"), "silver", True),
    "none of several": (("gold", "silver"), "bronze", False),
    "the number": ((5,), 5, True),
    "a number as text": ((5,), "5", False),
    "a text as number": (("5",), 5, False),
    "a number with a fraction": ((5,), 5.0, False),
    "true": ((True,), True, True),
    "true is not 1": ((True,), 1, False),
    "1 is not true": ((1,), True, False),
    "false is not 0": ((False,), 0, False),
    "false is not missing": ((False,), None, False),
    "a list that has it": (("acme",), ["acme"], False),
    "an object": (("acme",), {"acme": "acme"}, False),
}


@pytest.mark.parametrize(("values", "found", "met"), IS.values(), ids=IS)
def test_a_claim_is_one_of_the_values(values: tuple[str | int | bool, ...], found: object, met: bool) -> None:
    """Value and type are the same."""
    assert ClaimRule(claim="c", values=values).met_by(token(c=found)) is met


CONTAINS = {
    "in the list": (["a", "staff"], True),
    "not in it": (["a", "Staff"], False),
    "among others that are no texts": ([1, None, {"staff": 1}, "staff"], True),
    "in a list inside": ([["staff"]], False),
    "an empty list": ([], False),
    "the text itself": ("staff", False),
    "a text that has it": ("staff admin", False),
    "an object that has it": ({"staff": True}, False),
    "null": (None, False),
}


@pytest.mark.parametrize(("found", "met"), CONTAINS.values(), ids=CONTAINS)
def test_a_claim_contains_a_value_as_a_list_does(found: object, met: bool) -> None:
    """A text is no list, whatever it has in it."""
    assert ClaimRule(claim="c", values=("staff",), contains=True).met_by(token(c=found)) is met


MATCHES = {
    "the whole text": ("ann@example.com", True),
    "the beginning": ("ann@example.com.evil.test", False),
    "the end": ("x ann@example.com", False),
    "with a line feed": ("ann@example.com\n", False),
    "half a character": ("ann\ud800@example.com", False),
    "a list": (["ann@example.com"], False),
    "a number": (5, False),
    "missing": (None, False),
}


@pytest.mark.parametrize(("found", "met"), MATCHES.values(), ids=MATCHES)
def test_a_pattern_matches_the_whole_of_a_text(found: object, met: bool) -> None:
    """And nothing that is no text."""
    assert ClaimRule(claim="c", pattern=parse_pattern(r"[a-z]+@example\.com")).met_by(token(c=found)) is met


def test_a_claim_is_named_as_identity_headers_name_it() -> None:
    """By its name, by a path, or as a member that RFC 7662 defines; what is in the token's own words comes first."""
    asked = token(realm_access={"roles": ["auditor"]}, **{"https://example.com/tier": "gold"})
    assert ClaimRule(claim="realm_access.roles", values=("auditor",), contains=True).met_by(asked)
    assert ClaimRule(claim="https://example.com/tier", values=("gold",)).met_by(asked)
    assert ClaimRule(claim="client_id", values=("app",)).met_by(asked)
    assert ClaimRule(claim="token_kind", values=("user",)).met_by(asked)
    assert not ClaimRule(claim="username", values=("app",)).met_by(asked)


def test_every_condition_must_hold() -> None:
    """A missing claim is refused like a wrong one."""
    both = Demands(claims=(ClaimRule(claim="a", values=(1,)), ClaimRule(claim="b", values=(2,))))
    assert both.refusal(token(a=1, b=2)) is None
    assert both.refusal(token(a=1, b=3)) is Reason.WRONG_CLAIM
    assert both.refusal(token(a=1)) is Reason.WRONG_CLAIM


def test_a_condition_can_be_told() -> None:
    """As the tools show it."""
    assert str(ClaimRule(claim="a", values=("x", 5, True))) == "a is x or 5 or true"
    assert str(ClaimRule(claim="a", values=("x",), contains=True)) == "a contains x"
    assert str(ClaimRule(claim="a", pattern=parse_pattern("x+"))) == "a matches x+"

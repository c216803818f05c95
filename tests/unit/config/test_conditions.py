"""Conditions on claims as they are written."""

import pytest

from extauthz.config.compile import Policy, compile_policy
from extauthz.config.judge import judge_policy
from extauthz.config.patterns import parse_pattern
from extauthz.config.policy_schema import Defaults, RouteEntry
from extauthz.config.yaml_source import read_yaml
from extauthz.core.claims import ClaimRule
from extauthz.core.demands import Demands

BAD = {
    "{claim: a}": "write one of equals, in, contains or matches",
    "{claim: a, equals: 1, in: [1]}": "write one of equals, in, contains or matches",
    "{equals: 1}": "claim is missing",
    "{claim: a, is: 1}": "unknown key: known here are claim, equals, in, contains, matches",
    "{claim: a, contain: 1}": "unknown key",
    "{claim: a, equals: [1]}": "write a text, a whole number, true or false",
    "{claim: a, in: []}": "name at least one value",
    '{claim: a, matches: "("}': "this is no pattern of RE2: missing )",
    "{claim: aud, equals: a}": "aud is no claim for a condition: write audience:",
    "{claim: scope, contains: a}": "scope is no claim for a condition: write scopes:",
    "{claim: exp, equals: 1}": "exp is no claim for a condition",
}


@pytest.mark.parametrize("entry", BAD)
def test_each_mistake_has_its_line_and_a_sentence(entry: str) -> None:
    """The pattern too, which is compiled at once."""
    text = f"version: 1\nroutes:\n  - name: r\n    path: /r\n    scopes: []\n    claims:\n      - {entry}\n"
    (fault,) = judge_policy(read_yaml(text.encode(), "policy.yaml"), {}, ()).faults
    assert fault.message.startswith(BAD[entry])
    assert fault.line == 7


WHERE = {
    "{nr: x}": "the path has no parameter {nr}; there is id",
    "{}": "name at least one parameter of the path",
    "{id: '('}": "this is no pattern of RE2",
    "{id: 5}": "this must be text: put quotes around it",
}


@pytest.mark.parametrize("where", WHERE)
def test_a_constraint_is_for_a_parameter_of_the_path(where: str) -> None:
    """And a pattern."""
    text = f"version: 1\nroutes:\n  - name: r\n    path: '/r/{{id}}'\n    scopes: []\n    where: {where}\n"
    (fault,) = judge_policy(read_yaml(text.encode(), "policy.yaml"), {}, ()).faults
    assert fault.message.startswith(WHERE[where])
    assert fault.line == 6


def test_a_public_route_has_no_conditions() -> None:
    """It looks at no token."""
    text = "version: 1\nroutes: [{name: r, path: /r, allow: anonymous, claims: [{claim: a, equals: 1}]}]"
    (fault,) = judge_policy(read_yaml(text.encode(), "policy.yaml"), {}, ()).faults
    assert "take out claims" in fault.message


def test_each_condition_arrives() -> None:
    """In the order of the file."""
    claims = [
        {"claim": "a", "equals": False},
        {"claim": "b", "in": ["x", 5]},
        {"claim": "c", "contains": 0},
        {"claim": "d", "matches": "x+"},
    ]
    entry = RouteEntry.model_validate({"name": "r", "path": "/r", "scopes": [], "claims": claims})
    snapshot, _ = compile_policy(Policy(entries=((0, entry),), defaults=Defaults(), realm="api"), {})
    assert snapshot.routes.rules[0].demands == Demands(
        claims=(
            ClaimRule(claim="a", values=(False,)),
            ClaimRule(claim="b", values=("x", 5)),
            ClaimRule(claim="c", values=(0,), contains=True),
            ClaimRule(claim="d", pattern=parse_pattern("x+")),
        )
    )

"""What a line of the audit log tells about its token is used, and what it does not tell is not made up."""

import json
from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from extauthz.core.contrast import difference
from extauthz.core.introspection import Inactive
from extauthz.core.snapshot import Snapshot
from extauthz.observe.audit_line import render
from extauthz.policy_tools.ask import Url, ask, question
from extauthz.policy_tools.predict import Replayed, replay
from extauthz.policy_tools.source import SoundSource, read_policy
from extauthz.testing import active

NOW = 1_700_000_000.0


@cache
def policy(rule: str) -> Snapshot:
    found = read_policy(f"version: 1\nroutes:\n  - {{name: a, path: /a, {rule}}}\n".encode(), "policy.yaml")
    assert isinstance(found, SoundSource), found.judged.faults
    return found.snapshot


def replayed(old: str, new: str, **said: object) -> Replayed:
    usual = {"method": "GET", "host": "h", "path": "/a", "rule": "a", "sub": "u1", "client_id": "web", "scope": "r"}
    return replay([json.dumps(usual | said).encode()], policy(old), policy(new), NOW)


ACME = "claims: [{claim: tenant, equals: acme}]"
GOLD = "claims: [{claim: plan, equals: gold}]"
BOTH = "claims: [{claim: tenant, equals: acme}, {claim: plan, equals: gold}]"
SERVICE = "actors: [service]"
PAYMENT = "authorization_details: [{type: payment}]"
R = "scopes: [r]"

TOLD = {
    "what was refused for a claim passes without it": (f"{R}, {ACME}", R, "wrong_claim", "opened"),
    "or for an actor": (f"{R}, {SERVICE}", R, "wrong_actor", "opened"),
    "or for details": (f"{R}, {PAYMENT}", R, "insufficient_details", "opened"),
    "or for an audience": (f"{R}, audience: x", R, "wrong_audience", "opened"),
    "or for an issuer": (f"{R}, issuers: [i]", R, "wrong_issuer", "opened"),
    "a claim that was refused is refused again": (f"{R}, {ACME}", f"{R}, {BOTH}", "wrong_claim", "alike"),
    "what had a claim passes without it": (f"{R}, {ACME}", R, "allowed", "alike"),
    "and so does one of several, where no other is left out": (
        f"{R}, issuers: [i]",
        f"{R}, issuers: [i, j]",
        "allowed",
        "alike",
    ),
    "scopes are known": (R, "scopes: [w]", "allowed", "closed"),
    "and come before what nobody looked at": (R, f"scopes: [w], {ACME}", "allowed", "closed"),
    "so does the client": (f"{R}, clients: [app]", f"{R}, clients: [tv], {ACME}", "wrong_client", "alike"),
    "a kind of token is known": (R, f"{R}, claims: [{{claim: token_kind, equals: client}}]", "allowed", "closed"),
}
UNTOLD = {
    "a claim that nobody asked for": (R, f"{R}, {ACME}", "allowed"),
    "one more": (f"{R}, {ACME}", f"{R}, {BOTH}", "allowed"),
    "one less of two that were not as asked": (f"{R}, {BOTH}", f"{R}, {ACME}", "wrong_claim"),
    "another instead": (f"{R}, {ACME}", f"{R}, {GOLD}", "wrong_claim"),
    "an actor": (R, f"{R}, {SERVICE}", "allowed"),
    "details": (R, f"{R}, {PAYMENT}", "allowed"),
    "an audience": (R, f"{R}, audience: x", "allowed"),
    "another audience than the one that it is not for": (f"{R}, audience: x", f"{R}, audience: y", "wrong_audience"),
    "which of two issuers": (f"{R}, issuers: [i, j]", f"{R}, issuers: [i]", "allowed"),
    "an issuer": (R, f"{R}, issuers: [i]", "allowed"),
    "a claim that comes after the scope that it lacked": (f"scopes: [w], {ACME}", f"{R}, {ACME}", "insufficient_scope"),
}


@pytest.mark.parametrize("case", TOLD)
def test_what_a_line_tells_is_certain(case: str) -> None:
    """By its reason, and by the order in which tokens are looked at."""
    old, new, reason, kind = TOLD[case]
    found = replayed(old, new, reason=reason)
    assert ([seen.change.kind for seen in found.seen] or ["alike"], found.foreign) == ([kind], 0)


@pytest.mark.parametrize("case", UNTOLD)
def test_what_a_line_does_not_tell_is_unknown(case: str) -> None:
    """Some such tokens would pass and others not."""
    old, new, reason = UNTOLD[case]
    (seen,) = replayed(old, new, reason=reason).seen
    assert (seen.change.kind, seen.change.new) == ("unknown", "as its token warrants")


def test_scopes_that_the_gateway_added_are_asked_for_again() -> None:
    """The line has them in `needed`."""
    (seen,) = replayed(R, "scopes: []", reason="insufficient_scope", needed=["r x"]).seen
    assert (seen.change.kind, seen.change.new.partition(" (")[0]) == ("changed", "deny 403 insufficient_scope")


def test_a_preflight_that_passed_is_one_again() -> None:
    """It has no token, and no other request passes so where a token is needed."""
    lines = {"method": "OPTIONS", "reason": "public", "sub": None, "client_id": None, "scope": ""}
    open_to_them = f"{R}, methods: [GET], allow_preflight: true"
    (seen,) = replayed(open_to_them, f"{R}, methods: [GET]", **lines).seen
    assert (seen.change.kind, seen.change.new) == ("closed", "deny 403 no_route")
    assert replayed(open_to_them, open_to_them, **lines).alike == 1


def test_a_denied_options_may_have_been_a_preflight() -> None:
    """A route that lets them through lets it through then, and the line does not tell."""
    lines = {"method": "OPTIONS", "reason": "no_route", "rule": "", "sub": None, "client_id": None, "scope": ""}
    (seen,) = replayed(f"{R}, methods: [GET]", f"{R}, methods: [GET], allow_preflight: true", **lines).seen
    assert seen.change.kind == "unknown"


def test_a_host_that_is_no_longer_needed_leaves_it_to_the_token() -> None:
    """Nobody had looked at that one."""
    (seen,) = replayed(f"{R}, host: h", R, host="", rule="", reason="bad_host", scope="").seen
    assert seen.change.kind == "unknown"


def test_a_line_that_old_would_not_have_written_is_of_another_policy() -> None:
    """What it tells of the token cannot be read by this one."""
    found = replayed("scopes: [w]", "scopes: []", reason="allowed")
    assert (found.seen, found.foreign) == ([], 1)


RULES = [
    "allow: anonymous",
    "scopes: []",
    R,
    "scopes: [w]",
    "scopes: {any_of: [[r, w], [admin]]}",
    f"{R}, {ACME}",
    f"scopes: [], {GOLD}",
    f"scopes: [], {BOTH}",
    f"{R}, {SERVICE}",
    f"scopes: [], {SERVICE}, {ACME}",
    f"{R}, {PAYMENT}",
    f"{R}, audience: x",
    f"scopes: [], audience: y, {GOLD}",
    f"{R}, issuers: [i]",
    "scopes: [], issuers: [i, j], clients: [web]",
    "scopes: [], clients: [app]",
    "scopes: [], require_sub: true",
    "scopes: [], claims: [{claim: token_kind, equals: client}]",
    f"shadow: true, scopes: [w], {ACME}",
    "scopes: [], claims: [{claim: tenant, in: [acme, other]}]",
    "scopes: [], claims: [{claim: roles, contains: a}]",
    "scopes: [], actors: [other, service]",
]
TOKENS = [
    None,
    Inactive(),
    active("r"),
    active("r", sub=None, client_id="web"),
    active("w admin", client_id="app", iss="i"),
    active("r w", client_id="web", iss="j", aud=("x",)),
    active("r", aud=("y",), client_id="web"),
    replace(active("r"), claims={"tenant": "acme", "plan": "gold"}),
    replace(active("r", aud=("x",)), claims={"tenant": "acme", "plan": "tin", "act": {"sub": "service"}}),
    replace(active("w", iss="i"), claims={"tenant": "other", "authorization_details": [{"type": "payment"}]}),
    replace(active("r"), claims={"roles": ["b", "a"], "tenant": "other", "act": {"sub": "service"}}),
    replace(active("r"), claims={"act": {"sub": "other"}, "authorization_details": [{"type": "payment"}]}),
]


@pytest.mark.parametrize("old", RULES)
def test_no_change_is_missed_and_none_is_made_up(old: str) -> None:
    """Whatever the line was written about and whatever comes next: what is said for certain is what comes."""
    before = policy(old)
    for new, state in product(RULES, TOKENS):
        after, asked = policy(new), question("GET", Url("h", "/a"), with_token=state is not None)
        checked = ask(before, asked, state, NOW)
        found = replay([render(checked)], before, after, NOW)
        truth = difference(checked.decision, ask(after, asked, state, NOW).decision)
        told = found.seen[0].change.kind if found.seen else None
        assert told in (truth, "unknown"), (new, state)
        assert (found.silent, found.foreign) == (0, 0)

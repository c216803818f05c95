"""An explanation says what the engine said, why no other rule did, and what is missing."""

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive
from extauthz.policy_tools.ask import ask, question, read_url
from extauthz.policy_tools.explain import Explanation, explain
from extauthz.policy_tools.pretend import Pretended, pretend
from extauthz.policy_tools.reasons import MEANINGS
from extauthz.policy_tools.report import as_json, as_text
from extauthz.policy_tools.source import SoundSource, read_policy

POLICY = b"""\
version: 1
defaults: {audience: https://api.example.com}
scope_implies: {admin: [orders:write]}
routes:
  - {name: read, path: "/orders/{id}", methods: [GET], scopes: [orders:read]}
  - {name: write, path: "/orders/{id}", methods: [PUT], scopes: {any_of: [[orders:write, orders:read], [root]]}}
  - {name: export, path: /orders/export, scopes: []}
  - {name: wide, path: /orders/**, scopes: [wide]}
  - {name: health, path: /healthz, allow: anonymous}
  - {name: mine, path: /mine, scopes: [], require_sub: true, actors: [service]}
  - {name: pay, path: /pay, scopes: [], authorization_details: [{type: payment, actions: [start]}]}
"""
NOW = 1_700_000_000.0


def source(text: bytes = POLICY) -> SoundSource:
    found = read_policy(text, "policy.yaml")
    assert isinstance(found, SoundSource), found.judged.faults
    return found


def explained(method: str, url: str, token: Pretended | None = None, text: bytes = POLICY) -> Explanation:
    policy = source(text)
    asked = question(method, read_url(url), with_token=token is not None)
    rule = policy.snapshot.routes.match(method, "", read_url(url).target)
    return explain(policy, asked, pretend(token or Pretended(), rule, NOW), NOW)


def test_others_lost_for_a_reason_each() -> None:
    """A wider segment, another method; a rule of another path is not mentioned."""
    found = explained("GET", "/orders/1", Pretended(scope="orders:read"))
    assert found.rule is not None
    assert (found.rule.name, found.reason) == ("read", Reason.ALLOWED)
    assert {loser.rule.name: loser.because for loser in found.losers} == {
        "write": "stands exactly here, and lists PUT, not GET",
        "wide": "has ** as segment 2, which is wider than {…} of read",
    }


def test_the_wrong_client_and_issuer_are_told_with_the_right_ones() -> None:
    """A token is of the route's issuer unless it is said to be of another one."""
    text = POLICY + b"  - {name: some, path: /some, scopes: [], clients: [web, app], issuers: [i]}\n"
    found = explained("GET", "/some", Pretended(client_id="other"), text)
    assert (found.reason, found.missing) == (Reason.WRONG_CLIENT, ["client_id: one of app, web; the token has other"])
    found = explained("GET", "/some", Pretended(client_id="app", iss="j"), text)
    assert (found.reason, found.missing) == (Reason.WRONG_ISSUER, ["iss: one of i; the token has j"])
    assert explained("GET", "/some", Pretended(client_id="app"), text).reason is Reason.ALLOWED


def test_a_claim_that_is_not_as_asked_is_told_without_its_value() -> None:
    """What the route asks for is the policy's; what the token has may be somebody's own."""
    text = POLICY + b"  - {name: c, path: /c, scopes: [], claims: [{claim: t, equals: a}, {claim: n, matches: x+}]}\n"
    found = explained("GET", "/c", Pretended(sub="u", claims={"t": "a", "n": "secret"}), text)
    assert (found.reason, found.missing) == (Reason.WRONG_CLAIM, ["claim: n matches x+"])
    assert explained("GET", "/c", Pretended(sub="u", claims={"t": "a", "n": "xx"}), text).reason is Reason.ALLOWED


WHERE = b"""\
  - {name: number, path: "/o/{id}", where: {id: "[0-9]+"}, scopes: []}
  - {name: hex, path: "/o/{id}", where: {id: "[0-9a-f]+"}, scopes: []}
  - {name: other, path: "/o/{id}", scopes: []}
"""


def test_constraints_are_told_that_do_not_fit_or_fit_both() -> None:
    """Why a rule does not decide, and why none does."""
    found = explained("GET", "/o/x", None, POLICY + WHERE)
    assert found.rule is not None
    assert found.rule.name == "other"
    assert {loser.rule.name: loser.because for loser in found.losers} == {
        "number": "is only for {id} that matches [0-9]+",
        "hex": "is only for {id} that matches [0-9a-f]+",
    }
    found = explained("GET", "/o/12", None, POLICY + WHERE)
    assert (found.rule, found.reason) == (None, Reason.NO_ROUTE)
    assert {loser.rule.name: loser.because for loser in found.losers} == {
        "number": "has a constraint that fits, and so has another rule: none of them comes first",
        "hex": "has a constraint that fits, and so has another rule: none of them comes first",
        "other": "is wider than the rules that are tied",
    }
    found = explained("GET", "/o/a", None, POLICY + WHERE)
    assert {loser.rule.name: loser.because for loser in found.losers} == {
        "number": "is only for {id} that matches [0-9]+",
        "other": "has {…} as segment 2, which is wider than {[0-9a-f]+} of hex",
    }


def test_a_shadow_route_is_explained_by_what_it_would_have_done() -> None:
    """The reason for which it would have denied, and what was missing."""
    text = POLICY + b"  - {name: s, path: /s, scopes: [orders:read], shadow: true}\n"
    found = explained("GET", "/s", Pretended(scope="x"), text)
    assert (found.status, found.reason, found.true_reason) == (200, Reason.SHADOW, Reason.INSUFFICIENT_SCOPE)
    assert found.missing == ["scope: orders:read; the token holds x"]
    assert "would be  insufficient_scope: the token lacks a scope" in as_text(found, source(text))
    assert "would be" not in as_text(explained("GET", "/s", Pretended(scope="orders:read"), text), source(text))


def test_a_method_that_nobody_lists_is_explained_by_the_rules_that_stand_there() -> None:
    """They decide alone, so the wide rule does not."""
    found = explained("DELETE", "/orders/1")
    assert (found.rule, found.status, found.reason) == (None, 403, Reason.NO_ROUTE)
    assert [loser.rule.name for loser in found.losers] == ["read", "write", "wide"]


def test_a_path_that_fits_nothing_is_explained_by_what_looks_like_it() -> None:
    """A slash too many, a letter too few."""
    found = explained("GET", "/helthz")
    assert found.look_alike is not None
    assert (found.look_alike.name, found.losers) == ("health", [])


def test_hosts_are_compared_before_paths() -> None:
    """And a rule whose path fits, for another host, is mentioned."""
    text = b"version: 1\nroutes:\n  - {name: a, path: /x, host: a.example.com, scopes: []}\n"
    text += b"  - {name: b, path: /x, host: '*.example.com', scopes: []}\n  - {name: c, path: /x, scopes: []}\n"
    policy = source(text)
    found = explain(policy, question("GET", read_url("https://b.example.com/x"), with_token=False), None, NOW)
    assert found.checked.decision.rule == "b"
    assert {loser.rule.name: loser.because for loser in found.losers} == {
        "a": "is for host a.example.com",
        "c": "is for every host, which is wider than host *.example.com of b",
    }


MISSING = {
    "scopes": (
        "PUT",
        "/orders/1",
        Pretended(scope="orders:read"),
        "scope: orders:write, or root; the token holds orders:read",
    ),
    "implied": ("PUT", "/orders/1", Pretended(scope="admin"), "scope: orders:read, or root; the token holds admin"),
    "audience": (
        "GET",
        "/orders/1",
        Pretended(scope="orders:read", aud=("https://other",)),
        "aud: the token is for https://other, the route for https://api.example.com",
    ),
    "actor": ("GET", "/mine", Pretended(sub="u1"), "act.sub: one of service"),
    "subject": (
        "GET",
        "/mine",
        Pretended(scope="a", claims={"act": {"sub": "service"}}),
        "sub: the token of a user has one",
    ),
    "details": ("GET", "/pay", Pretended(sub="u1"), "authorization_details: one element with payment start"),
}


@pytest.mark.parametrize("case", MISSING)
def test_what_is_missing_is_named(case: str) -> None:
    """With it, the request passes."""
    method, url, token, message = MISSING[case]
    assert explained(method, url, token).missing == [message]


def test_nothing_is_missing_where_a_token_is_not_the_matter() -> None:
    """Neither when it passes, nor when the server says no."""
    assert explained("GET", "/orders/1", Pretended(scope="orders:read")).missing == []
    assert explained("GET", "/orders/1", Pretended(inactive=True)).reason is Reason.INACTIVE
    assert explained("GET", "/orders/1", Pretended(sub="u1", expired=True)).reason is Reason.EXPIRED


def test_the_text_begins_with_outcome_reason_and_what_is_missing() -> None:
    """Nobody reads to the end."""
    lines = as_text(explained("PUT", "/orders/1", Pretended(scope="orders:read")), source(), octets=False).splitlines()
    assert lines[:5] == [
        "PUT /orders/1",
        "  outcome   deny 403 insufficient_scope",
        f"  because   {MEANINGS[Reason.INSUFFICIENT_SCOPE]}",
        "  missing   scope: orders:write, or root; the token holds orders:read",
        "  rule      write (policy.yaml:6): PUT /orders/{id}",
    ]


def test_the_document_has_the_octets_in_hex() -> None:
    """For machines that compare."""
    found = as_json(explained("GET", "/healthz"), source())
    assert (found["outcome"], found["reason"], found["rule"]["where"]) == ("allow", "public", "policy.yaml:9")
    http = {door: bytes.fromhex(each["octets"]) for each in found["answers"] for door in each["doors"]}
    assert http["nginx"].startswith(b"HTTP/1.1 200 OK\r\n")
    assert set(http) == {"grpc", "nginx", "forward-auth", "envoy", "gateway-api"}


def test_every_reason_has_a_sentence() -> None:
    """An audit line has the word; the sentence says what to do."""
    assert set(MEANINGS) == set(Reason)


@pytest.mark.parametrize("url", ["orders", "ftp://h/x", "", "h/x"])
def test_what_is_no_url_is_refused(url: str) -> None:
    """Rather than explained as something else."""
    with pytest.raises(ValueError, match="write a URL such as"):
        read_url(url)


def test_urls_are_cut_and_never_repaired() -> None:
    """What is odd in them is the engine's to judge."""
    assert read_url("https://h:8443/a/../b?x=/") == ("h:8443", "/a/../b?x=/")
    assert read_url("//x/y") == ("", "//x/y")
    assert read_url("http://h") == ("h", "/")
    assert read_url("/é#f") == ("", "/\xc3\xa9")


def test_a_token_that_nobody_described_lets_nobody_pass() -> None:
    """The engine fails closed here as everywhere."""
    found = ask(source().snapshot, question("GET", read_url("/orders/1"), with_token=True), None, NOW)
    assert found.decision.reason is Reason.INTERNAL
    found = ask(source().snapshot, question("GET", read_url("/orders/1"), with_token=True), Inactive(), NOW)
    assert found.decision.reason is Reason.INACTIVE

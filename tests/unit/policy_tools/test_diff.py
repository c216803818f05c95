"""What a change of a policy changes is told once for each cause, and what it does not change is not told."""

import json

import pytest

from extauthz.core.snapshot import Snapshot
from extauthz.policy_tools.diff import differences
from extauthz.policy_tools.predict import replay
from extauthz.policy_tools.source import SoundSource, read_policy

HEAD = "version: 1\ndefaults: {audience: https://api.example.com}\n"
READ = "name: read, path: '/orders/{id}', methods: [GET], scopes: [orders:read]"
NOW = 1_700_000_000.0


def policy(*routes: str, head: str = HEAD) -> Snapshot:
    text = head + "routes:\n" + "".join(f"  - {{{line}}}\n" for line in routes)
    found = read_policy(text.encode(), "policy.yaml")
    assert isinstance(found, SoundSource), found.judged.faults
    return found.snapshot


def told(old: Snapshot, new: Snapshot) -> list[tuple[str, str, str, str]]:
    return [
        (seen.change.kind, ",".join(seen.methods), seen.change.token.partition(" for ")[0], seen.change.new)
        for seen in differences(old, new, NOW)
    ]


def test_a_policy_is_like_itself_in_any_order() -> None:
    """The order of the file plays no part."""
    routes = (READ, "name: wide, path: /**, scopes: [a]", "name: host, path: /x, host: h, allow: anonymous")
    assert differences(policy(*routes), policy(*reversed(routes)), NOW) == []


def test_a_new_name_is_no_difference() -> None:
    """Neither client nor upstream sees it."""
    assert differences(policy(READ), policy(READ.replace("read,", "renamed,")), NOW) == []


CHANGED = {
    "a scope more": (READ.replace("[orders:read]", "[orders:read, b]"), "closed", "GET", "with scope orders:read"),
    "one of two": (READ.replace("[orders:read]", "{any_of: [[orders:read], [b]]}"), "opened", "GET", "with scope b"),
    "open to all": (READ.replace("scopes: [orders:read]", "allow: anonymous"), "opened", "GET", "without a token"),
    "a method more": (READ.replace("[GET]", "[GET, PUT]"), "opened", "PUT", "with scope orders:read"),
    "another audience": (f"{READ}, audience: b", "closed", "GET", "with scope orders:read"),
    "a subject": (f"{READ}, require_sub: true", "closed", "GET", "with scope orders:read"),
    "an actor": (f"{READ}, actors: [service]", "closed", "GET", "with scope orders:read"),
    "some clients": (f"{READ}, clients: [app]", "closed", "GET", "with scope orders:read"),
    "some issuers": (f"{READ}, issuers: [i]", "closed", "GET", "with scope orders:read"),
    "a claim": (f"{READ}, claims: [{{claim: tenant, equals: a}}]", "closed", "GET", "with scope orders:read"),
    "a kind of token": (
        f"{READ}, claims: [{{claim: token_kind, equals: user}}]",
        "closed",
        "GET",
        "with scope orders:read",
    ),
    "a shadow": (f"{READ}, shadow: true", "opened", "GET", "without a token"),
    "freshness": (f"{READ}, freshness: live", "settings", "GET", "whatever the token"),
}


ONE_MORE = {
    "a client": ("clients: [app]", "clients: [app, web]", "of client web"),
    "an issuer": ("issuers: [a]", "issuers: [a, b]", "of issuer b"),
    "an actor": ("actors: [a]", "actors: [a, b]", "of actor b"),
    "a value": ("claims: [{claim: t, in: [a]}]", "claims: [{claim: t, in: [a, b]}]", "with t"),
    "a claim less": ("claims: [{claim: t, matches: '[0-9]+'}]", "require_sub: false", "for"),
}


@pytest.mark.parametrize("case", ONE_MORE)
def test_one_more_in_a_list_is_found(case: str) -> None:
    """Though the token that fits the old list fits the new one as well."""
    before, after, token = ONE_MORE[case]
    seen, *_ = differences(policy(f"{READ}, {before}"), policy(f"{READ}, {after}"), NOW)
    assert seen.change.kind == "opened"
    assert token in seen.change.token


@pytest.mark.parametrize("pattern", ["[0-9]+", "[a-z]+", "[0-9a-f]{8}", "v[0-9]+-(new|old)"])
def test_a_constraint_is_found_on_both_sides(pattern: str) -> None:
    """What fits it ends as before, what does not has no route any more."""
    before, after = policy(READ), policy(f"{READ}, where: {{id: '{pattern}'}}")
    (seen,) = (
        each for each in differences(before, after, NOW) if each.change.token.startswith("with scope orders:read")
    )
    assert (seen.change.kind, seen.change.new) == ("closed", "deny 403 no_route")
    assert [each.change.kind for each in differences(after, before, NOW)].count("opened") == 1


def test_what_a_shadow_let_pass_is_replayed_by_its_true_reason() -> None:
    """Without the shadow it would end."""
    line = {"method": "GET", "host": "", "path": "/orders/1", "rule": "read", "reason": "shadow"}
    recorded = json.dumps(line | {"shadow": "insufficient_scope", "outcome": "allow"}).encode()
    (seen,) = replay([recorded], policy(f"{READ}, shadow: true"), policy(READ), NOW).seen
    assert (seen.change.kind, seen.change.new) == ("closed", "deny 403 insufficient_scope")


def test_a_token_that_came_from_no_issuer_of_the_route_may_pass_elsewhere() -> None:
    """What the audit log calls wrong_issuer is the route's doing, where it names issuers."""
    line = {"method": "GET", "host": "", "path": "/orders/1", "reason": "wrong_issuer", "rule": "read"}
    (seen,) = replay([json.dumps(line).encode()], policy(f"{READ}, issuers: [a]"), policy(READ), NOW).seen
    assert seen.change.old == "deny 401 wrong_issuer"


@pytest.mark.parametrize("case", CHANGED)
def test_each_kind_of_change_is_found(case: str) -> None:
    """With the token that shows it."""
    route, kind, methods, token = CHANGED[case]
    found = told(policy(READ), policy(route))
    wanted = [each for each in found if each[:2] == (kind, methods)]
    assert any(each[2] == token or each[2].startswith(token) for each in wanted), found


def test_a_narrower_route_shows_where_it_takes_from_a_wider_one() -> None:
    """Both tables make up requests."""
    wide = "name: wide, path: /**, scopes: [a]"
    assert ("closed", "GET", "with scope a", "deny 403 insufficient_scope") in told(policy(wide), policy(wide, READ))
    assert ("opened", "GET", "with scope a", "allow") in told(policy(wide, READ), policy(wide))


def test_scopes_that_imply_others_are_tried() -> None:
    """Alone, as a token may hold them."""
    implied = policy(READ, head=HEAD + "scope_implies: {admin: [orders:read]}\n")
    assert ("opened", "GET", "with scope admin", "allow") in told(policy(READ), implied)


def line(**said: object) -> bytes:
    usual = {"method": "GET", "host": "h", "path": "/orders/1", "rule": "read", "reason": "allowed", "sub": "u1"}
    return json.dumps(usual | said).encode() + b"\n"


STRICTER = policy(READ.replace("[orders:read]", "[orders:read, b]"))


def test_recorded_requests_are_asked_again() -> None:
    """Those of one route that change alike are one change, with their number."""
    lines = [line(), line(path="/orders/2"), line(reason="inactive"), line(rule="", reason="no_route", path="/x")]
    found = replay(lines, policy(READ), STRICTER, NOW)
    assert [(seen.change.kind, seen.times, seen.places) for seen in found.seen] == [("closed", 2, ("h/orders/{id}",))]
    assert (found.alike, found.silent, found.foreign) == (2, 0, 0)


def test_scopes_in_the_record_are_believed() -> None:
    """Then it is known who would still pass."""
    found = replay([line(scope="orders:read b"), line(scope="orders:read")], policy(READ), STRICTER, NOW)
    assert ([seen.times for seen in found.seen], found.alike) == ([1], 1)


def test_what_says_nothing_about_the_policy_is_counted() -> None:
    """An outage, a broken line, a route of another policy."""
    lines = [line(reason="server_timeout"), b"{\n", b"[]\n", b"\n", line(reason="new_word"), line(rule="gone")]
    found = replay(lines, policy(READ), STRICTER, NOW)
    assert (found.seen, found.alike, found.silent, found.foreign) == ([], 0, 4, 1)

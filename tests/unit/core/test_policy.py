"""One rule and one token give one decision: state, then validity in time, then audience, then scope, then identity."""

import math

import pytest

from extauthz.core.challenge import challenge
from extauthz.core.decision import OUTCOMES, Allow, Deny, Reason
from extauthz.core.identity import IdentityHeaders
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.policy import decide
from extauthz.core.scopes import all_implied
from extauthz.testing import active, rule

NOW = 1_700_000_000.0
API = "https://api.example.com"

READ = frozenset({"orders:read"})
WRITE = frozenset({"orders:write"})
ADMIN = frozenset({"admin"})

TIMES = {
    "no times": (active(), 0, Reason.ALLOWED),
    "before exp": (active(exp=NOW + 1), 0, Reason.ALLOWED),
    "at exp": (active(exp=NOW), 0, Reason.EXPIRED),
    "after exp": (active(exp=NOW - 100), 0, Reason.EXPIRED),
    "after exp, within the leeway": (active(exp=NOW - 10), 60, Reason.ALLOWED),
    "after exp, at the end of the leeway": (active(exp=NOW - 60), 60, Reason.EXPIRED),
    "after exp, beyond the leeway": (active(exp=NOW - 100), 60, Reason.EXPIRED),
    "exp is zero": (active(exp=0.0), 60, Reason.EXPIRED),
    "after nbf": (active(nbf=NOW - 1), 0, Reason.ALLOWED),
    "at nbf": (active(nbf=NOW), 0, Reason.ALLOWED),
    "before nbf": (active(nbf=NOW + 1), 0, Reason.NOT_YET_VALID),
    "before nbf, within the leeway": (active(nbf=NOW + 60), 60, Reason.ALLOWED),
    "before nbf, beyond the leeway": (active(nbf=NOW + 100), 60, Reason.NOT_YET_VALID),
    "nbf is zero": (active(nbf=0.0), 0, Reason.ALLOWED),
    "exp before nbf": (active(exp=NOW - 1, nbf=NOW + 1), 0, Reason.EXPIRED),
}

AUDIENCES = {
    "the only one": ((API,), API, Reason.ALLOWED),
    "one of several": (("x", API), API, Reason.ALLOWED),
    "none": ((), API, Reason.WRONG_AUDIENCE),
    "another": (("account",), API, Reason.WRONG_AUDIENCE),
    "a trailing slash": ((API + "/",), API, Reason.WRONG_AUDIENCE),
    "another case": (("HTTPS://api.example.com",), API, Reason.WRONG_AUDIENCE),
    "a longer name": ((API + ".evil.example",), API, Reason.WRONG_AUDIENCE),
    "two in one string": ((f"x {API}",), API, Reason.WRONG_AUDIENCE),
    "the rule asks for none": (("account",), "", Reason.ALLOWED),
    "the rule asks for none, the token has none": ((), "", Reason.ALLOWED),
}

SCOPES = {
    "held": ("orders:read", (READ,), Reason.ALLOWED),
    "held among others": ("b orders:read a", (READ,), Reason.ALLOWED),
    "none held": ("", (READ,), Reason.INSUFFICIENT_SCOPE),
    "another held": ("orders:write", (READ,), Reason.INSUFFICIENT_SCOPE),
    "another case": ("Orders:Read", (READ,), Reason.INSUFFICIENT_SCOPE),
    "a longer word is another word": ("orders:reader", (READ,), Reason.INSUFFICIENT_SCOPE),
    "a shorter word is another word": ("orders", (READ,), Reason.INSUFFICIENT_SCOPE),
    "a star is a word like any": ("orders:*", (READ,), Reason.INSUFFICIENT_SCOPE),
    "all of two": ("orders:write x orders:read", (READ | WRITE,), Reason.ALLOWED),
    "one of two is not all": ("orders:read", (READ | WRITE,), Reason.INSUFFICIENT_SCOPE),
    "the first alternative": ("admin", (ADMIN, READ | WRITE), Reason.ALLOWED),
    "the second alternative": ("orders:read orders:write", (ADMIN, READ | WRITE), Reason.ALLOWED),
    "halves of two alternatives": ("orders:read", (READ | WRITE, READ | ADMIN), Reason.INSUFFICIENT_SCOPE),
    "any valid token": ("", (frozenset(),), Reason.ALLOWED),
    "no alternative denies everybody": ("orders:read admin", (), Reason.INSUFFICIENT_SCOPE),
}

IMPLIED = all_implied({"admin": ("orders:write",), "orders:write": ("orders:read",)})


@pytest.mark.shows("S45")
@pytest.mark.parametrize(
    ("held", "added", "reason"),
    [
        ("orders:read", (), Reason.ALLOWED),
        ("admin", (), Reason.ALLOWED),
        ("admin", ("orders:write",), Reason.ALLOWED),
        ("orders:write", ("admin",), Reason.INSUFFICIENT_SCOPE),
        ("", (), Reason.INSUFFICIENT_SCOPE),
    ],
)
def test_a_scope_that_is_implied_is_held(held: str, added: tuple[str, ...], reason: Reason) -> None:
    """Where the policy says so; without, it is not. The application is told what the token says, and no more."""
    decision = decide(rule(implications=IMPLIED), active(held), NOW, added)
    assert decision.reason is reason
    if isinstance(decision, Allow):
        assert dict(decision.identity)["x-auth-scope"] == held
    if held == "admin":
        assert decide(rule(), active(held), NOW).reason is Reason.INSUFFICIENT_SCOPE


PRECEDENCE = {
    "inactive": (Inactive(), Reason.INACTIVE),
    "everything wrong": (active("", sub="\n", exp=NOW - 1, nbf=NOW + 1), Reason.EXPIRED),
    "everything but exp": (active("", sub="\n", nbf=NOW + 1), Reason.NOT_YET_VALID),
    "audience, scope and identity": (active("", sub="\n"), Reason.WRONG_AUDIENCE),
    "scope and identity": (active("", sub="\n", aud=(API,)), Reason.INSUFFICIENT_SCOPE),
    "identity alone": (active(sub="\n", aud=(API,)), Reason.IDENTITY_NOT_FORWARDABLE),
    "nothing wrong": (active(aud=(API,)), Reason.ALLOWED),
}


@pytest.mark.shows("O6", "S18", "E36")
@pytest.mark.parametrize(("state", "leeway", "reason"), TIMES.values(), ids=TIMES)
def test_a_token_counts_from_nbf_until_just_before_exp(state: TokenState, leeway: float, reason: Reason) -> None:
    """`active: true` does not outweigh the dates (RFC 7662 §4); clocks may differ by the leeway and no more."""
    assert decide(rule(leeway=leeway), state, NOW).reason is reason


@pytest.mark.shows("O6", "S21")
@pytest.mark.parametrize(("held", "wanted", "reason"), AUDIENCES.values(), ids=AUDIENCES)
def test_a_token_must_name_the_audience_of_the_rule(held: tuple[str, ...], wanted: str, reason: Reason) -> None:
    """Exact comparison (RFC 8707 §2): every resource server refuses tokens made for others (RFC 9700 §2.3)."""
    assert decide(rule(audience=wanted), active(aud=held), NOW).reason is reason


@pytest.mark.shows("S43")
@pytest.mark.parametrize(("held", "wanted", "reason"), SCOPES.values(), ids=SCOPES)
def test_a_token_must_hold_one_alternative_completely(
    held: str, wanted: tuple[frozenset[str], ...], reason: Reason
) -> None:
    """Words are compared byte for byte, without prefixes or wildcards."""
    assert decide(rule(alternatives=wanted), active(held), NOW).reason is reason


@pytest.mark.parametrize(("state", "reason"), PRECEDENCE.values(), ids=PRECEDENCE)
def test_the_first_fault_in_the_fixed_order_is_the_reason(state: TokenState, reason: Reason) -> None:
    """So one request has one answer through every door."""
    assert decide(rule(audience=API), state, NOW).reason is reason


@pytest.mark.shows("O6", "S6")
@pytest.mark.parametrize("reason", [Reason.INACTIVE, Reason.WRONG_ISSUER, Reason.NOT_AN_ACCESS_TOKEN])
def test_a_token_that_is_not_accepted_is_denied_for_its_reason(reason: Reason) -> None:
    """401 `invalid_token`, with the challenge of the rule's realm."""
    expected = Deny(reason=reason, rule="orders", challenge=challenge(reason, "shop"))
    assert decide(rule(realm="shop"), Inactive(reason=reason), NOW) == expected


@pytest.mark.shows("O17", "N10")
@pytest.mark.parametrize(("asked", "given"), [(0, 1), (30, 30)])
def test_an_unknown_token_is_503_with_the_servers_own_delay(asked: int, given: int) -> None:
    """Never a challenge: nothing is known to be wrong with the token. The detail stays inside."""
    state = Unavailable(reason=Reason.SERVER_BUSY, detail="secret detail", retry_after=asked)
    assert decide(rule(), state, NOW) == Deny(reason=Reason.SERVER_BUSY, rule="orders", retry_after=given)


def test_an_allow_carries_identity_and_what_to_remove() -> None:
    """Both come from the token alone; how long to keep the answer is not the rule's to say."""
    assert decide(rule(), active("b orders:read", sub=None), NOW) == Allow(
        reason=Reason.ALLOWED, rule="orders", identity=(("x-auth-scope", "b orders:read"),), absent=("x-auth-sub",)
    )


@pytest.mark.shows("O7", "S7")
def test_the_scope_challenge_names_what_the_rule_declares() -> None:
    """All scopes of the first alternative, in the order of the policy file."""
    one = rule(alternatives=(READ | WRITE, ADMIN), challenge_scope=("orders:read", "orders:write"))
    denial = decide(one, active("orders:read"), NOW)
    assert isinstance(denial, Deny)
    assert denial.challenge.endswith(', scope="orders:read orders:write"')


@pytest.mark.parametrize("reason", OUTCOMES)
def test_a_rule_has_every_denial_ready(reason: Reason) -> None:
    """With its name, its realm and, on a 429 or 503, `Retry-After`."""
    one = rule(name="r", realm='a"b', challenge_scope=("s",))
    retry_after = 1 if OUTCOMES[reason].status in (429, 503) else 0
    expected = Deny(reason=reason, rule="r", challenge=challenge(reason, 'a"b', ("s",)), retry_after=retry_after)
    assert one.denials[reason] == expected


@pytest.mark.shows("S50", "E16")
def test_a_public_answer_removes_every_identity_header() -> None:
    """CVE-2026-30851: where no token is looked at, the client's own copy must not survive."""
    identity = IdentityHeaders.of({"x-auth-sub": "sub", "x-auth-scope": "scope", "x-auth-client": "client_id"})
    assert rule(anonymous=True, identity=identity).public == Allow(
        reason=Reason.PUBLIC, rule="orders", identity=(), absent=("x-auth-sub", "x-auth-scope", "x-auth-client")
    )


@pytest.mark.shows("S32", "N57")
def test_a_decision_is_not_remembered() -> None:
    """CVE-2021-32701: a token that one rule let pass is judged anew by the next, and anew as time goes by."""
    token = active("orders:read", exp=NOW + 1)
    assert decide(rule(), token, NOW).reason is Reason.ALLOWED
    assert decide(rule(alternatives=(ADMIN,)), token, NOW).reason is Reason.INSUFFICIENT_SCOPE
    assert decide(rule(), token, NOW + 1).reason is Reason.EXPIRED


def test_a_token_without_end_is_valid_at_any_time() -> None:
    """`exp` is optional (RFC 7662 §2.2)."""
    assert decide(rule(), active(), math.inf).reason is Reason.ALLOWED

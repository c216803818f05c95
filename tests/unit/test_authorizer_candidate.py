"""A candidate policy is decided beside the one in force: what it says is told, and changes nothing."""

from dataclasses import replace

import pytest

from extauthz.core.contrast import Contrast, Kind
from extauthz.core.decision import Allow, Reason
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.policy import Rule
from extauthz.core.request import AuthRequest
from extauthz.core.routes import RouteTable
from extauthz.testing import Bench, StubResolver, active, policy, request, rule

STATES: dict[str, TokenState] = {
    "reader": active("orders:read"),
    "admin": active("admin"),
    "bad": Inactive(),
    "busy": Unavailable(reason=Reason.SERVER_BUSY, detail=""),
}
ADMIN = rule(alternatives=(frozenset({"admin"}),), challenge_scope=("admin",))
PUBLIC = rule(anonymous=True)


def bench_of(now: Rule, candidate: Rule | None) -> Bench:
    """A bench with these policies of one rule each."""
    beside = None if candidate is None else policy(candidate)
    return Bench(policy=replace(policy(now), candidate=beside), resolver=StubResolver(STATES))


CASES: dict[str, tuple[Rule, Rule, AuthRequest, Kind | None]] = {
    "agrees": (rule(), rule(name="other"), request(token="reader"), None),
    "agrees to deny": (rule(), rule(), request(token="bad"), None),
    "closes": (rule(), ADMIN, request(token="reader"), Kind.CLOSED),
    "opens": (rule(), ADMIN, request(token="admin"), Kind.OPENED),
    "opens to all": (rule(), PUBLIC, request(), Kind.OPENED),
    "has no such route": (rule(), rule(path="/other"), request(token="reader"), Kind.CLOSED),
    "denies otherwise": (rule(), rule(path="/other"), request(), Kind.CHANGED),
    "sends no identity": (rule(), PUBLIC, request(token="reader"), Kind.CHANGED),
    "would only be a shadow": (rule(), rule(shadow=True), request(token="bad"), Kind.OPENED),
    "fails alike in an outage": (rule(), ADMIN, request(token="busy"), None),
    "would look at a token": (PUBLIC, rule(), request(token="reader"), Kind.UNKNOWN),
    "would miss a token": (PUBLIC, rule(), request(), Kind.CLOSED),
    "would ask another server": (rule(), rule(authorization_server="b"), request(token="reader"), Kind.UNKNOWN),
    "refuses the same path": (rule(), ADMIN, request(target="/orders/../x"), None),
}


@pytest.mark.parametrize(("now", "candidate", "asked", "kind"), CASES.values(), ids=CASES)
async def test_what_a_candidate_says_otherwise_is_told(
    now: Rule, candidate: Rule, asked: AuthRequest, kind: Kind | None
) -> None:
    """And the answer and the questions to the server are as without it."""
    bench, alone = bench_of(now, candidate), bench_of(now, None)
    assert await bench.check(asked) == await alone.check(asked)
    assert bench.resolver.asked == alone.resolver.asked
    assert (None if bench.event.contrast is None else bench.event.contrast.kind) is kind
    assert alone.event.contrast is None


async def test_the_decision_of_the_candidate_is_told_with_it() -> None:
    """For the record."""
    bench = bench_of(rule(), replace(ADMIN, name="new"))
    await bench.check(request(token="admin"))
    assert bench.event.contrast == Contrast(
        Kind.OPENED,
        Allow(Reason.ALLOWED, "new", (("x-auth-sub", "u1"), ("x-auth-scope", "admin")), ()),
    )


async def test_a_candidate_that_breaks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told that it did."""
    bench = bench_of(rule(), ADMIN)
    assert bench.policy.candidate is not None
    table, match = bench.policy.candidate.routes, RouteTable.match

    def broken(self: RouteTable, method: str, host: str, path: str) -> Rule | None:
        if self is table:
            raise KeyError("x")
        return match(self, method, host, path)

    monkeypatch.setattr(RouteTable, "match", broken)
    assert (await bench.check(request(token="reader"))).reason is Reason.ALLOWED
    assert bench.event.contrast == Contrast(Kind.FAILED)
    assert bench.event.fault == ""


async def test_a_defect_is_no_matter_for_a_candidate() -> None:
    """Nothing was decided that it could say otherwise."""
    bench = bench_of(rule(), PUBLIC)
    bench.resolver.fault = KeyError("x")
    assert (await bench.check(request(token="reader"))).reason is Reason.INTERNAL
    assert bench.event.contrast is None

"""Two decisions differ where client or upstream would notice."""

import pytest

from extauthz.core.contrast import Kind, difference
from extauthz.core.decision import Allow, Decision, Reason, deny

ALLOW = Allow(Reason.ALLOWED, "a", (("x-auth-sub", "u1"),), ())
PUBLIC = Allow(Reason.PUBLIC, "a", (), ("x-auth-sub",))
SCOPE = deny(Reason.INSUFFICIENT_SCOPE, rule="a", challenge="Bearer scope=a")

CASES: dict[str, tuple[Decision, Decision, Kind | None]] = {
    "the same": (ALLOW, ALLOW, None),
    "by another rule, for another reason": (ALLOW, ALLOW._replace(rule="b", reason=Reason.ALLOWED_STALE), None),
    "another time to keep it": (ALLOW, ALLOW._replace(cache_seconds=5), None),
    "another identity": (ALLOW, PUBLIC, Kind.CHANGED),
    "no identity for anybody": (PUBLIC, PUBLIC._replace(absent=()), Kind.CHANGED),
    "passes no more": (ALLOW, SCOPE, Kind.CLOSED),
    "passes now": (SCOPE, ALLOW, Kind.OPENED),
    "the same denial by another rule": (SCOPE, deny(SCOPE.reason, rule="b", challenge=SCOPE.challenge), None),
    "another challenge": (SCOPE, deny(SCOPE.reason, challenge="Bearer scope=b"), Kind.CHANGED),
    "another reason": (deny(Reason.NO_ROUTE), deny(Reason.WRONG_CLIENT), Kind.CHANGED),
}


@pytest.mark.parametrize(("first", "second", "kind"), CASES.values(), ids=CASES)
def test_a_difference_has_a_kind(first: Decision, second: Decision, kind: Kind | None) -> None:
    assert difference(first, second) is kind

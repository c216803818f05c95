"""What a route asks of a token beside scopes: each part by itself, and all of them in a decision."""

from typing import Any

import pytest

from extauthz.core.decision import Allow, Reason
from extauthz.core.demands import Demands, DetailsRule
from extauthz.core.introspection import Active
from extauthz.core.policy import decide
from extauthz.testing import active, rule

NOW = 1_700_000_000.0
API = "https://api.example.com"
PAYMENT = DetailsRule(type="payment", actions=frozenset({"initiate", "status"}), locations=frozenset({API}))
GRANT = {"type": "payment", "actions": ["status", "initiate", "cancel"], "locations": [API, "x"], "amount": 5}


CLIENTS = frozenset({"web", "mobile"})
ISSUERS = frozenset({"https://as.example.com", "https://old.example.com"})


def token(sub: str | None = "u1", **claims: Any) -> Active:  # noqa: ANN401 - any JSON value
    return Active(scopes=frozenset({"orders:read"}), scope="orders:read", sub=sub, claims=claims)


DETAILS = {
    "one element": ([GRANT], None),
    "one among others": ([{"type": "account"}, 5, GRANT], None),
    "none": ([], Reason.INSUFFICIENT_DETAILS),
    "another type": ([{**GRANT, "type": "account"}], Reason.INSUFFICIENT_DETAILS),
    "another case": ([{**GRANT, "type": "Payment"}], Reason.INSUFFICIENT_DETAILS),
    "no type": ([{"actions": GRANT["actions"], "locations": [API]}], Reason.INSUFFICIENT_DETAILS),
    "an action too few": ([{**GRANT, "actions": ["initiate"]}], Reason.INSUFFICIENT_DETAILS),
    "another location": ([{**GRANT, "locations": ["x"]}], Reason.INSUFFICIENT_DETAILS),
    "no locations": ([{"type": "payment", "actions": GRANT["actions"]}], Reason.INSUFFICIENT_DETAILS),
    "actions that are no list": ([{**GRANT, "actions": "initiate status"}], Reason.INSUFFICIENT_DETAILS),
    "actions that are no texts": ([{**GRANT, "actions": [["initiate"], {"status": 1}]}], Reason.INSUFFICIENT_DETAILS),
    "two elements with half of it each": (
        [{**GRANT, "actions": ["initiate"]}, {**GRANT, "actions": ["status"]}],
        Reason.INSUFFICIENT_DETAILS,
    ),
    "an object in place of the list": (GRANT, Reason.SERVER_ANSWER_INVALID),
    "a text in place of the list": ("payment", Reason.SERVER_ANSWER_INVALID),
    "null": (None, Reason.SERVER_ANSWER_INVALID),
}


@pytest.mark.shows("S47")
@pytest.mark.parametrize(("said", "refusal"), DETAILS.values(), ids=DETAILS)
def test_a_details_rule_is_granted_by_one_whole_element(said: object, refusal: Reason | None) -> None:
    """RFC 9396 §2: each element is a grant of its own, and what has another shape is no grant."""
    assert Demands(details=(PAYMENT,)).refusal(token(authorization_details=said)) is refusal


@pytest.mark.shows("S47")
def test_every_details_rule_must_be_granted() -> None:
    """By one element or by several."""
    both = Demands(details=(PAYMENT, DetailsRule(type="account")))
    assert both.refusal(token(authorization_details=[GRANT])) is Reason.INSUFFICIENT_DETAILS
    assert both.refusal(token(authorization_details=[GRANT, {"type": "account"}])) is None
    assert both.refusal(token()) is Reason.INSUFFICIENT_DETAILS


ACTORS = {
    "the outermost": ({"sub": "a"}, None),
    "the outermost of several": ({"sub": "a", "act": {"sub": "b"}}, None),
    "one that acted before": ({"sub": "b", "act": {"sub": "a"}}, Reason.WRONG_ACTOR),
    "one inside without a name": ({"act": {"sub": "a"}}, Reason.WRONG_ACTOR),
    "another": ({"sub": "b"}, Reason.WRONG_ACTOR),
    "a list of names": ({"sub": ["a"]}, Reason.WRONG_ACTOR),
    "a name in place of the object": ("a", Reason.WRONG_ACTOR),
    "null": (None, Reason.WRONG_ACTOR),
}


@pytest.mark.shows("S49")
@pytest.mark.parametrize(("act", "refusal"), ACTORS.values(), ids=ACTORS)
def test_the_actor_is_the_outermost_one(act: object, refusal: Reason | None) -> None:
    """RFC 8693 §4.1: prior actors are information, and nothing to decide by."""
    assert Demands(actors=frozenset({"a", "c"})).refusal(token(act=act)) is refusal


@pytest.mark.shows("S49")
def test_who_might_act_does_not_act() -> None:
    """RFC 8693 §4.4: `may_act` is for the server that exchanges tokens."""
    assert Demands(actors=frozenset({"a"})).refusal(token(may_act={"sub": "a"})) is Reason.WRONG_ACTOR


@pytest.mark.shows("S51", "E14")
@pytest.mark.parametrize(("sub", "refusal"), [("u1", None), (None, Reason.NO_SUBJECT), ("", Reason.NO_SUBJECT)])
def test_a_route_can_insist_on_a_subject(sub: str | None, refusal: Reason | None) -> None:
    assert Demands(subject=True).refusal(token(sub)) is refusal


@pytest.mark.parametrize(
    ("client_id", "refusal"),
    [
        ("web", None),
        ("mobile", None),
        ("Web", Reason.WRONG_CLIENT),
        ("", Reason.WRONG_CLIENT),
        (None, Reason.WRONG_CLIENT),
    ],
)
def test_a_route_can_be_for_some_clients(client_id: str | None, refusal: Reason | None) -> None:
    """A token whose client nobody names is refused."""
    assert Demands(clients=CLIENTS).refusal(active(client_id=client_id)) is refusal


@pytest.mark.parametrize(
    ("iss", "reason"),
    [
        ("https://as.example.com", Reason.ALLOWED),
        ("https://old.example.com", Reason.ALLOWED),
        ("https://as.example.com/", Reason.WRONG_ISSUER),
        ("https://AS.example.com", Reason.WRONG_ISSUER),
        ("", Reason.WRONG_ISSUER),
        (None, Reason.WRONG_ISSUER),
    ],
)
def test_a_route_can_be_for_tokens_of_some_issuers(iss: str | None, reason: Reason) -> None:
    """Character for character (RFC 7519 §4.1.1); a token whose issuer nobody names is refused."""
    assert decide(rule(issuers=ISSUERS), active(iss=iss), NOW).reason is reason


def test_the_issuer_comes_before_scopes_and_the_client_after_them() -> None:
    """One request has one answer: 401 before 403."""
    one = rule(issuers=ISSUERS, demands=Demands(clients=CLIENTS))
    assert decide(one, active("", iss="x", client_id="x"), NOW).reason is Reason.WRONG_ISSUER
    assert decide(one, active("", iss=min(ISSUERS), client_id="x"), NOW).reason is Reason.INSUFFICIENT_SCOPE
    assert decide(one, active(iss=min(ISSUERS), client_id="x"), NOW).reason is Reason.WRONG_CLIENT


def test_without_demands_nothing_is_refused() -> None:
    assert Demands().refusal(token(None)) is None


@pytest.mark.parametrize(
    ("scope", "details", "reason"),
    [
        ("orders:read", [GRANT], Reason.ALLOWED),
        ("orders:read", [], Reason.INSUFFICIENT_DETAILS),
        ("", [GRANT], Reason.INSUFFICIENT_SCOPE),
        ("", [], Reason.INSUFFICIENT_SCOPE),
    ],
)
def test_demands_come_on_top_of_scopes(scope: str, details: list[object], reason: Reason) -> None:
    """And after them."""
    one = rule(demands=Demands(details=(PAYMENT,)))
    held = active(scope)
    asked = Active(scopes=held.scopes, scope=held.scope, sub="u1", claims={"authorization_details": details})
    decision = decide(one, asked, NOW)
    assert decision.reason is reason
    assert isinstance(decision, Allow) == (reason is Reason.ALLOWED)

"""Dynamic metadata: what the access log learns about a decision, in bytes that are put together from parts."""

import tracemalloc

import pytest

from extauthz._gen.extauthz_envoy_pb2 import CheckResponse
from extauthz.core.decision import Allow, Decision, Deny, Reason
from extauthz.observe.events import DECISION_ID_LENGTH, Checked
from extauthz.wire.envoy.encode import encode, metadata

ALLOW = Allow(reason=Reason.ALLOWED, rule="orders", identity=(("x-auth-sub", "u1"),), absent=("x-auth-scope",))
DENY = Deny(reason=Reason.INSUFFICIENT_SCOPE, rule="orders", challenge='Bearer realm="api"')


def event(decision: Decision, *, decision_id: str = "0" * DECISION_ID_LENGTH, known: bool = True) -> Checked:
    return Checked(
        decision_id=decision_id,
        at=0.0,
        door="envoy",
        request_id="",
        method="GET",
        host="",
        path="/",
        decision=decision,
        sub="u1" if known else None,
        client_id="app" if known else None,
        scope="a b" if known else "",
    )


def read(checked: Checked) -> CheckResponse:
    return CheckResponse.FromString(encode(checked.decision) + metadata(checked))


@pytest.mark.shows("E22")
@pytest.mark.parametrize("decision", [ALLOW, DENY])
def test_an_answer_names_who_why_and_which_decision(decision: Decision) -> None:
    """On a denial too: that is when somebody asks."""
    fields = dict(read(event(decision, decision_id="7" * DECISION_ID_LENGTH)).dynamic_metadata)
    scope = fields.pop("scope")
    assert list(scope) == ["a", "b"]  # type: ignore[arg-type] # a list value, which the stubs do not know
    assert fields == {
        "decision_id": "7" * DECISION_ID_LENGTH,
        "reason": decision.reason.value,
        "rule": "orders",
        "sub": "u1",
        "client_id": "app",
    }


@pytest.mark.shows("E22")
def test_what_is_not_known_is_not_named() -> None:
    fields = dict(read(event(ALLOW, known=False)).dynamic_metadata)
    assert set(fields) == {"decision_id", "reason", "rule"}


@pytest.mark.parametrize("decision_id", ["", "short", "x" * (DECISION_ID_LENGTH + 1)])
def test_a_decision_id_of_any_length_arrives_whole(decision_id: str) -> None:
    assert read(event(ALLOW, decision_id=decision_id)).dynamic_metadata["decision_id"] == decision_id


@pytest.mark.parametrize("decision", [ALLOW, DENY])
def test_metadata_changes_nothing_of_the_answer(decision: Decision) -> None:
    """Joined messages are merged: status, headers and body stay as they are."""
    answer = read(event(decision))
    answer.ClearField("dynamic_metadata")
    assert answer == CheckResponse.FromString(encode(decision))


@pytest.mark.shows("E38")
def test_an_outage_is_an_error_only_where_the_operator_says_so_and_a_denial_never() -> None:
    outage = Deny(reason=Reason.SERVER_TIMEOUT, retry_after=1)
    assert CheckResponse.FromString(encode(outage)).WhichOneof("http_response") == "denied_response"
    error = CheckResponse.FromString(encode(outage, outage_is_error=True))
    assert (error.WhichOneof("http_response"), error.error_response.status.code, error.status.code) == (
        "error_response",
        503,
        14,
    )
    denial = CheckResponse.FromString(encode(DENY, outage_is_error=True))
    assert denial.WhichOneof("http_response") == "denied_response"


def test_a_very_long_scope_is_told_like_any_other_and_not_remembered() -> None:
    """Cached tokens have bounded room: what is told of them must not fill memory beside it."""
    tracemalloc.start()
    try:
        for number in range(20):
            long = event(DENY)._replace(scope=f"s{number} " + "x" * 100_000)
            assert len(metadata(long)) > 100_000
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 1_000_000

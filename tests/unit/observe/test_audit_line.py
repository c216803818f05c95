"""One line of the record: what stands in it, what never does, and which lines are left out."""

import json
from datetime import datetime

import pytest
from hypothesis import given, strategies as st

from extauthz.core.contrast import Contrast, Kind
from extauthz.core.decision import Allow, Reason, deny
from extauthz.observe.audit_line import MAX_TEXT, is_kept, render
from extauthz.observe.events import Checked
from extauthz.policy_tools.record import read_record

EVENT = Checked(
    decision_id="1",
    at=1_700_000_000.25,
    door="envoy",
    request_id="abc",
    method="GET",
    host="api.example.com",
    path="/orders/1",
    decision=Allow(reason=Reason.ALLOWED, rule="orders", identity=(("x-auth-sub", "u1"),), absent=()),
    level="memory",
    sub="u1",
    client_id="app",
    scope="orders:read orders:write",
    took_seconds=0.000042,
    needed=("orders:read",),
)


class TestLine:
    """One JSON object with these members, and a line feed."""

    @pytest.mark.shows("E76")
    def test_an_allow(self) -> None:
        """Who, what, when, why and how fast."""
        line = render(EVENT)
        assert line.endswith(b"}\n")
        assert json.loads(line) == {
            "time": "2023-11-14T22:13:20.250000+00:00",
            "decision_id": "1",
            "door": "envoy",
            "request_id": "abc",
            "method": "GET",
            "host": "api.example.com",
            "path": "/orders/1",
            "outcome": "allow",
            "reason": "allowed",
            "status": 200,
            "rule": "orders",
            "sub": "u1",
            "client_id": "app",
            "needed": ["orders:read"],
            "scope": "orders:read orders:write",
            "level": "memory",
            "took_us": 42,
        }

    def test_a_shadow_route_tells_why_it_would_have_denied(self) -> None:
        """And that it did not."""
        shadow = Allow(reason=Reason.SHADOW, rule="new", identity=(), absent=(), shadow=Reason.INACTIVE)
        line = json.loads(render(EVENT._replace(decision=shadow)))
        assert (line["outcome"], line["reason"], line["shadow"]) == ("allow", "shadow", "inactive")
        assert "shadow" not in json.loads(render(EVENT))

    def test_what_a_candidate_policy_says_otherwise_is_told(self) -> None:
        """With its rule and reason, if it came to a decision."""
        closed = Contrast(Kind.CLOSED, deny(Reason.INSUFFICIENT_SCOPE, rule="new"))
        told = json.loads(render(EVENT._replace(contrast=closed)))["candidate"]
        assert told == {"kind": "closed", "outcome": "deny", "reason": "insufficient_scope", "rule": "new"}
        told = json.loads(render(EVENT._replace(contrast=Contrast(Kind.UNKNOWN))))["candidate"]
        assert told == {"kind": "unknown"}
        assert "candidate" not in json.loads(render(EVENT))

    @pytest.mark.parametrize(
        ("reason", "status"),
        [
            (Reason.INACTIVE, 401),
            (Reason.MALFORMED_CREDENTIALS, 400),
            (Reason.NO_ROUTE, 403),
            (Reason.SERVER_BUSY, 503),
        ],
    )
    def test_a_denial_has_the_status_for_the_client(self, reason: Reason, status: int) -> None:
        """Not the one on the wire to NGINX."""
        line = json.loads(render(EVENT._replace(door="nginx", decision=deny(reason))))
        assert (line["outcome"], line["reason"], line["status"], line["rule"]) == ("deny", reason.value, status, "")

    @given(at=st.floats(0, 4e9))
    def test_the_time_is_that_of_the_decision(self, at: float) -> None:
        """In UTC, to the microsecond; times sort as texts."""
        time = json.loads(render(EVENT._replace(at=at)))["time"]
        assert abs(datetime.fromisoformat(time).timestamp() - at) < 2e-6
        assert len(time) == len("2023-11-14T22:13:20.250000+00:00")

    def test_a_fault_is_named_only_when_there_is_one(self) -> None:
        """By its type; the text of an exception may hold anything."""
        assert "fault" not in json.loads(render(EVENT))
        assert json.loads(render(EVENT._replace(fault="KeyError")))["fault"] == "KeyError"

    @pytest.mark.shows("E76")
    @given(text=st.text(st.characters(exclude_categories=["Cs"])))
    def test_no_request_can_write_a_second_line(self, text: str) -> None:
        """Line feeds and control characters of a client stay inside their strings."""
        line = render(EVENT._replace(path=text, host=text, method=text, request_id=text))
        assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
        assert json.loads(line)["path"] == text

    def test_the_time_of_a_question_is_told_where_one_was_asked(self) -> None:
        """For this request, that is: what others wait for is theirs."""
        assert "introspection_us" not in json.loads(render(EVENT))
        assert json.loads(render(EVENT._replace(asked_seconds=0.0123)))["introspection_us"] == 12_300

    def test_what_a_token_lacks_is_told_where_it_is_not_a_scope(self) -> None:
        """Texts in it may be the token's own, so they are cut."""
        assert "missing" not in json.loads(render(EVENT))
        lacking = ("claim: plan is gold", "x" * (MAX_TEXT + 1))
        assert json.loads(render(EVENT._replace(missing=lacking)))["missing"] == [lacking[0], "x" * MAX_TEXT]

    def test_each_list_of_scopes_that_would_do_is_told(self) -> None:
        """None for a public route, an empty one for a route that takes any token."""
        for needed in ((), ("",), ("a b", "admin")):
            assert json.loads(render(EVENT._replace(needed=needed)))["needed"] == list(needed)

    @pytest.mark.parametrize(("scope", "written"), [("a " * 600, 512), ("x" * MAX_TEXT, 1), ("x" * (MAX_TEXT + 1), 0)])
    def test_a_long_list_of_scopes_is_cut_between_two(self, scope: str, written: int) -> None:
        """A piece of a scope would be another scope."""
        words = json.loads(render(EVENT._replace(scope=scope)))["scope"].split()
        assert words == scope.split()[:written]

    def test_a_text_that_json_cannot_hold_is_written_all_the_same(self) -> None:
        """With a question mark for what is no character."""
        line = json.loads(render(EVENT._replace(sub="a\ud800", path="/\udfff")))
        assert (line["sub"], line["path"], line["rule"]) == ("a?", "/?", "orders")

    def test_nor_can_it_hold_one_among_what_is_missing(self) -> None:
        line = json.loads(render(EVENT._replace(missing=("aud: the token is for \ud800",))))
        assert line["missing"] == ["aud: the token is for ?"]

    def test_it_can_be_asked_again(self) -> None:
        """`extauthz replay` and `extauthz policy diff` read what is written here."""
        (recorded,) = read_record([render(EVENT, 0.5)])
        assert recorded is not None
        told = (recorded.method, recorded.host, recorded.path, recorded.rule, recorded.sub, recorded.scope)
        assert told == ("GET", "api.example.com", "/orders/1", "orders", "u1", "orders:read orders:write")


class TestSampling:
    """A share of the allows is kept, and all denials."""

    @pytest.mark.parametrize("rate", [0.0, 0.01, 0.1, 0.5, 0.9])
    def test_so_many_allows_are_kept(self, rate: float) -> None:
        """Of ids that count up, as ours do."""
        ids = [f"0123456789ab{number:012x}" for number in range(20_000)]
        kept = sum(is_kept(EVENT._replace(decision_id=each), rate) for each in ids)
        assert kept / len(ids) == pytest.approx(rate, abs=0.01)

    @given(decision_id=st.text("0123456789abcdef", min_size=24, max_size=24), rate=st.floats(0, 1))
    def test_the_id_settles_it_and_a_larger_share_keeps_what_a_smaller_one_does(
        self, decision_id: str, rate: float
    ) -> None:
        event = EVENT._replace(decision_id=decision_id)
        kept = is_kept(event, rate)
        assert kept is is_kept(event._replace(path="/other"), rate)
        assert not kept or is_kept(event, min(1.0, rate + 0.1))

    @pytest.mark.parametrize("reason", [Reason.INACTIVE, Reason.NO_ROUTE, Reason.INTERNAL])
    def test_a_denial_is_always_kept(self, reason: Reason) -> None:
        """And says nothing of a share."""
        event = EVENT._replace(decision=deny(reason))
        assert is_kept(event, 0.0)
        assert "sample_rate" not in json.loads(render(event, 0.25))

    def test_an_allow_says_which_share_it_stands_for(self) -> None:
        """Where all are kept there is nothing to say."""
        assert json.loads(render(EVENT, 0.25))["sample_rate"] == 0.25
        assert "sample_rate" not in json.loads(render(EVENT))

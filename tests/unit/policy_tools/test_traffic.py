"""Recorded requests are asked again with the right token or not at all, and compared by their reason."""

from extauthz.core.decision import Reason
from extauthz.policy_tools.record import Recorded
from extauthz.policy_tools.traffic import Sent, summary, token_for


def recorded(reason: Reason, sub: str | None = None, client_id: str | None = None) -> Recorded:
    return Recorded(method="GET", host="h", path="/a", reason=reason, rule="a", sub=sub, client_id=client_id)


def test_a_token_is_chosen_by_subject_then_client() -> None:
    """No token where none was looked at; None where nobody gave us the one that there was."""
    tokens = {"u1": "one", "app": "two"}
    assert token_for(recorded(Reason.NO_CREDENTIALS, "u1"), tokens) == ""
    assert token_for(recorded(Reason.ALLOWED, "u1", "app"), tokens) == "one"
    assert token_for(recorded(Reason.ALLOWED, "u2", "app"), tokens) == "two"
    assert token_for(recorded(Reason.INACTIVE), tokens) is None


def test_what_a_shadow_let_pass_is_no_like_of_what_is_allowed() -> None:
    """A shadow then and now is alike."""
    shadow = Recorded(method="GET", host="h", path="/a", reason=Reason.NO_CREDENTIALS, rule="a", shadow=True)
    allowed = recorded(Reason.ALLOWED)
    sent = [Sent(shadow, "shadow", 0.1), Sent(shadow, "no_credentials", 0.1), Sent(allowed, "shadow", 0.1)]
    assert [*summary(sent).changed] == [
        ("GET", "/a", "shadow", "no_credentials"),
        ("GET", "/a", "allowed", "shadow"),
    ]


def test_the_most_frequent_change_comes_first() -> None:
    """Passing by an old answer is passing; no answer is no outcome."""
    allowed, denied = recorded(Reason.ALLOWED), recorded(Reason.NO_ROUTE)
    sent = [
        Sent(denied, "allowed", 0.3),
        Sent(allowed, "no_route", 0.1),
        Sent(allowed, "no_route", 0.2),
        Sent(allowed, "allowed_stale", 0.4),
        Sent(allowed, "", 0.0),
    ]
    found = summary(sent)
    assert list(found.changed.items()) == [
        (("GET", "/a", "allowed", "no_route"), 2),
        (("GET", "/a", "no_route", "allowed"), 1),
    ]
    assert (found.unanswered, found.percentiles["max"]) == (1, 0.4)
    assert summary([]).percentiles == {}

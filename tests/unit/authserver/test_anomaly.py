"""Anomalies, by the times of events."""

from __future__ import annotations

from extauthz.authserver.anomaly import LEARNING_SECONDS, AnomalyRules, Detector
from extauthz.authserver.events import Event, Kind


def event(at: float, result: str = "active", **more: object) -> Event:
    values = {"client_id": "gw", "address": "192.0.2.1", "kind": Kind.INTROSPECTION, "token_mark": b"x", **more}
    return Event(at=at, result=result, **values)  # type: ignore[arg-type] # names of Event's own


def rules(detector: Detector, *events: Event) -> list[str]:
    return [alert.rule for each in events for alert in detector.saw(each)]


def test_a_burst_of_inactive_tokens_is_told_once_a_minute() -> None:
    """As many inactive tokens of a client as the rule says within a minute raise one alert, and again a minute later."""
    detector = Detector(AnomalyRules(inactive_per_client=3))
    assert rules(detector, *(event(60.0, "expired") for _ in range(2))) == []
    assert rules(detector, *(event(61.0, "expired") for _ in range(5))) == ["inactive_per_client"]
    assert rules(detector, *(event(125.0, "expired") for _ in range(3))) == ["inactive_per_client"]


def test_slow_inactive_tokens_are_no_burst() -> None:
    """Tokens expire now and then; active ones never count."""
    detector = Detector(AnomalyRules(inactive_per_client=3))
    assert rules(detector, *(event(60.0 * number, "expired") for number in range(1, 10))) == []
    assert rules(detector, *(event(660.0) for _ in range(100))) == []


def test_a_spray_is_many_different_unknown_tokens() -> None:
    """The same unknown token again and again is a stale client; many different ones are guesses."""
    detector = Detector(AnomalyRules(unknown_tokens_per_client=3))
    assert rules(detector, *(event(60.0, "unknown", token_mark=b"same") for _ in range(50))) == []
    sprayed = (event(60.0, "unknown", token_mark=bytes([number])) for number in range(5))
    assert rules(detector, *sprayed) == ["unknown_tokens_per_client"]


def test_failed_authentication_is_counted_by_client_and_by_address() -> None:
    """Guesses at one client, and guesses from one address, raise an alert each."""
    detector = Detector(AnomalyRules(failures_per_client=3, failures_per_address=4))
    failed = [event(60.0, "invalid_client", kind=Kind.AUTHENTICATION_FAILED) for _ in range(4)]
    assert rules(detector, *failed) == ["failures_per_client", "failures_per_address"]


def test_a_request_in_nobodys_name_counts_for_its_address_alone() -> None:
    """Without credentials there is no client that an alert could name."""
    detector = Detector(AnomalyRules(failures_per_client=3, failures_per_address=4))
    failed = [event(60.0, "invalid_client", kind=Kind.AUTHENTICATION_FAILED, client_id="") for _ in range(4)]
    assert rules(detector, *failed) == ["failures_per_address"]


def test_a_new_address_is_news_once_a_client_is_known() -> None:
    """The addresses of a client are learned for a while; after that a new one is told, once."""
    detector = Detector(AnomalyRules())
    assert rules(detector, event(60.0), event(61.0, address="192.0.2.2")) == []
    later = 60.0 + LEARNING_SECONDS
    assert rules(detector, event(later), event(later, address="198.51.100.1")) == ["new_address"]
    assert rules(detector, event(later + 1, address="198.51.100.1")) == []
    assert rules(Detector(AnomalyRules(new_address=False)), event(60.0), event(later, address="198.51.100.1")) == []


def test_a_refresh_token_used_twice_is_always_told() -> None:
    """Reuse of a refresh token means that it was copied."""
    detector = Detector(AnomalyRules())
    assert rules(detector, event(60.0, "refresh_token_reused", kind=Kind.EXCHANGE)) == ["refresh_token_reused"]

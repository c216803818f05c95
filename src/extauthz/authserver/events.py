"""What happened, as one value: for the audit record, the metrics and whoever looks for anomalies. Never a token."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

MAX_TEXT: Final = 256
"""Characters of each text that a stranger chose; the rest is cut."""


class Kind(StrEnum):
    """What was asked for, or what it came to."""

    ISSUE = "issue"
    EXCHANGE = "exchange"
    INTROSPECTION = "introspection"
    REVOCATION = "revocation"
    AUTHENTICATION_FAILED = "authentication_failed"
    ALERT = "alert"


@dataclass(slots=True, kw_only=True)
class Event:
    """One token of one request; ``at`` is in seconds since the epoch.

    It is filled while the request is answered, and not changed after that. ``result`` is a word of ours.
    """

    kind: Kind
    at: float
    result: str = ""
    client_id: str = ""
    """The client that was proved; of a failed authentication, the one that was claimed."""
    address: str = ""
    user_agent: str = ""
    jti: str | None = None
    sub: str | None = None
    took_seconds: float = 0.0
    token_mark: bytes = field(default=b"", repr=False)
    """Tells tokens apart within this process; not recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something out of the ordinary. ``subject`` is the client or the address that it is about."""

    rule: str
    at: float
    subject: str
    client_id: str = ""
    address: str = ""
    count: int = 1


def recorded(event: Event) -> dict[str, Any]:
    """Return the event as a line of the audit record has it."""
    return {
        "at": event.at,
        "time": _time(event.at),
        "kind": event.kind.value,
        "result": event.result,
        "client_id": event.client_id[:MAX_TEXT],
        "address": event.address,
        "user_agent": event.user_agent[:MAX_TEXT],
        "jti": event.jti,
        "sub": event.sub,
        "took_us": round(event.took_seconds * 1e6),
    }


def alerted(alert: Alert) -> dict[str, Any]:
    """Return the alert as the audit record and a webhook have it."""
    return {
        "at": alert.at,
        "time": _time(alert.at),
        "kind": Kind.ALERT.value,
        "result": alert.rule,
        "subject": alert.subject[:MAX_TEXT],
        "client_id": alert.client_id[:MAX_TEXT],
        "address": alert.address,
        "count": alert.count,
    }


def _time(seconds: float) -> str:
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{_second(whole)}.{milliseconds:03d}Z"


@lru_cache(maxsize=4)
def _second(whole: int) -> str:
    """Many events share it."""
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")

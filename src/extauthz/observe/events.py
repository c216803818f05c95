"""The events and the one interface that receives them."""

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from extauthz.core.decision import Decision

DECISION_ID_LENGTH = 24
"""ASCII characters."""


class Checked(NamedTuple):
    """One decision. A tuple, because one is made for every request.

    Attributes:
        decision_id: unique, to find this decision in every log; tells nothing about the request.
        at: wall-clock seconds since the epoch.
        door: which front door asked: `envoy`, `nginx`, `forward-auth`, `envoy-http` or `gateway-api`.
        request_id: the gateway's id, empty if it gave none.
        method: request method as sent.
        host: host as sent.
        path: target as sent, without the query.
        decision: what we answered.
        level: where the token's state came from: `memory`, `server`, or empty when nothing was asked.
        sub: the token's subject.
        client_id: the client that the token was issued to.
        scope: the token's scopes, separated by spaces.
        took_seconds: time from question to answer.
        fault: name of the exception type behind `internal`, never its text.
    """

    decision_id: str
    at: float
    door: str
    request_id: str
    method: str
    host: str
    path: str
    decision: Decision
    level: str = ""
    sub: str | None = None
    client_id: str | None = None
    scope: str = ""
    took_seconds: float = 0.0
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspected:
    """One question to an authorization server. `outcome` is `active`, `inactive` or the reason why it is unknown."""

    server: str
    outcome: str
    took_seconds: float
    detail: str = field(default="")


class Observer(Protocol):
    """Receives events on the path of the request: must not block and must not raise."""

    def checked(self, event: Checked) -> None:
        """A decision was made."""

    def introspected(self, event: Introspected) -> None:
        """An authorization server was asked."""


class Observers:
    """Several observers as one."""

    def __init__(self, *observers: Observer) -> None:
        self._checked = [observer.checked for observer in observers]
        self._introspected = [observer.introspected for observer in observers]

    def checked(self, event: Checked) -> None:
        """Pass it on to all."""
        for tell in self._checked:
            tell(event)

    def introspected(self, event: Introspected) -> None:
        """Pass it on to all."""
        for tell in self._introspected:
            tell(event)

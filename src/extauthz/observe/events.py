"""The events and the one interface that receives them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from extauthz.core.contrast import Contrast
from extauthz.core.decision import Decision, Reason

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
        level: where the token's state came from, or empty when nothing was asked (`core.introspection.LEVELS`).
        sub: the token's subject.
        client_id: the client that the token was issued to.
        scope: the token's scopes, separated by spaces.
        took_seconds: time from question to answer.
        fault: name of the exception type behind `internal`, never its text.
        contrast: what the candidate policy says otherwise; None where it agrees, or where there is none.
        needed: scopes that the rule asks for, as `core.policy.Rule` has them, each list with those that the gateway adds.
        asked_seconds: how long the authorization server took; 0 when it was not asked for this request.
        missing: what the token lacks, where that is no scope, in the words of `core.missing`.
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
    contrast: Contrast | None = None
    needed: tuple[str, ...] = ()
    asked_seconds: float = 0.0
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Introspected:
    """One question to an authorization server. `outcome` is `active`, `inactive` or the reason why it is unknown."""

    server: str
    outcome: str
    took_seconds: float
    detail: str = field(default="")


class Happening(StrEnum):
    """What can happen to a part of the service, whoever is being served. Stable: a metric label and a log key."""

    CIRCUIT_OPENED = "circuit_opened"
    CIRCUIT_CLOSED = "circuit_closed"
    RETRIED = "retried"
    RETRY_BUDGET_SPENT = "retry_budget_spent"
    OVERLOADED = "overloaded"
    BATCHED = "batched"
    ALL_INACTIVE = "all_inactive"
    SELF_CHECK_PASSED = "self_check_passed"
    SELF_CHECK_FAILED = "self_check_failed"
    SHARED_CACHE_DOWN = "shared_cache_down"
    SHARED_CACHE_BACK = "shared_cache_back"
    SHARED_CACHE_UNREADABLE = "shared_cache_unreadable"
    SHARED_CACHE_FULL = "shared_cache_full"
    REVOCATIONS_CONNECTED = "revocations_connected"
    REVOCATIONS_CUT = "revocations_cut"
    REVOCATIONS_BACK = "revocations_back"
    REVOKED = "revoked"
    DISCOVERED = "discovered"
    DISCOVERY_FAILED = "discovery_failed"
    KEYS_REFRESHED = "keys_refreshed"
    KEYS_UNREACHABLE = "keys_unreachable"
    SECRET_RELOADED = "secret_reloaded"  # noqa: S105 - a word for the log
    SECRET_UNREADABLE = "secret_unreadable"  # noqa: S105 - a word for the log
    CERTIFICATE_NOT_VALID = "certificate_not_valid"
    CLAIM_MISMATCH = "claim_mismatch"
    POLICY_RELOADED = "policy_reloaded"
    POLICY_REFUSED = "policy_refused"
    POLICY_UNCHANGED = "policy_unchanged"
    AUDIT_FAILED = "audit_failed"
    AUDIT_BACK = "audit_back"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """Something about a part of the service that an operator may want to know.

    Attributes:
        what: the kind.
        subject: which authorization server, or which other part.
        detail: for the log; never a token, never a secret.
        reason: why the authorization server could not be asked, where that is what happened.
        count: how often at once; 0 where trouble that goes on is only told again.
    """

    what: Happening
    subject: str
    detail: str = ""
    reason: Reason | None = None
    count: int = 1


class Observer(Protocol):
    """Receives events on the path of the request: must not block and must not raise."""

    def checked(self, event: Checked) -> None:
        """A decision was made."""

    def introspected(self, event: Introspected) -> None:
        """An authorization server was asked."""

    def happened(self, event: Happened) -> None:
        """A part of the service changed its state or did something worth counting."""


class Recorder(Observer, Protocol):
    """An observer that takes many decisions at once."""

    def record(self, events: Sequence[Checked]) -> None:
        """These decisions were made, in this order."""


BATCH = 64
"""Decisions handed on together: few enough to be in the processor's cache still."""


class Observers:
    """Several recorders as one observer.

    Decisions wait until there are `BATCH` of them, or until `flush`: written down one by one, they would cost as much
    again as to make them.
    """

    def __init__(self, *recorders: Recorder) -> None:
        self._record = [recorder.record for recorder in recorders]
        self._introspected = [recorder.introspected for recorder in recorders]
        self._happened = [recorder.happened for recorder in recorders]
        self._waiting: list[Checked] = []

    def checked(self, event: Checked) -> None:
        """Pass it on to all, together with others."""
        self._waiting.append(event)
        if len(self._waiting) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Pass on what waits. To be called now and then, and before anybody reads what was recorded."""
        batch, self._waiting = self._waiting, []
        for tell in self._record:
            tell(batch)

    def introspected(self, event: Introspected) -> None:
        """Pass it on to all."""
        for tell in self._introspected:
            tell(event)

    def happened(self, event: Happened) -> None:
        """Pass it on to all."""
        for tell in self._happened:
            tell(event)

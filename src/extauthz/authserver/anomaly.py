"""What is out of the ordinary. Pure: events go in with their time, alerts come out.

Each alert comes once within a minute for the same subject; all memory is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.authserver.events import Alert, Event, Kind
from extauthz.authserver.sliding import MAX_KEYS, WINDOW_SECONDS, SlidingCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEARNING_SECONDS: Final = 600.0
"""After its first request the addresses of a client are learned for so long, and no news."""

MAX_ADDRESSES: Final = 256
"""Of one client; beyond, its addresses are no longer told apart."""

MAX_CLIENTS: Final = 10_000

ACTIVE: Final = "active"
UNKNOWN: Final = "unknown"
REUSED: Final = "refresh_token_reused"
NEW_ADDRESS: Final = "new_address"
SINGLE: Final = frozenset({REUSED, NEW_ADDRESS})
"""Rules that count nothing: one event is enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyRules:
    """How many within a minute are too many."""

    inactive_per_client: int = 300
    unknown_tokens_per_client: int = 100
    failures_per_client: int = 20
    failures_per_address: int = 20
    new_address: bool = True


class Detector:
    """Looks at every event, in the order of time."""

    def __init__(self, rules: AnomalyRules, *, on_count: Callable[[Alert, int], None] | None = None) -> None:
        """``on_count`` is told of each single thing that a rule counts, as the alert that it may become, and the limit."""
        self._rules = rules
        self._on_count = on_count
        self._counts = SlidingCounts()
        self._told_at: dict[tuple[str, str], float] = {}
        self._marks: set[tuple[str, bytes]] = set()
        self._marks_since = 0.0
        self._addresses: dict[str, tuple[float, set[str]]] = {}

    def saw(self, event: Event) -> list[Alert]:
        """Take note of the event; return what it raises, mostly nothing."""
        return list(self._raised(event))

    def _raised(self, event: Event) -> Iterator[Alert]:
        if event.kind is Kind.AUTHENTICATION_FAILED:
            if event.client_id:
                yield from self._burst(event, "failures_per_client", event.client_id, self._rules.failures_per_client)
            yield from self._burst(event, "failures_per_address", event.address, self._rules.failures_per_address)
            return
        if event.result == REUSED:
            yield _alert(event, REUSED, event.client_id, 1)
        if event.kind is Kind.INTROSPECTION and event.result != ACTIVE and event.token_mark:
            yield from self._inactive(event)
        if self._rules.new_address and event.client_id and self._is_new(event):
            yield _alert(event, NEW_ADDRESS, event.client_id, 1)

    def _inactive(self, event: Event) -> Iterator[Alert]:
        yield from self._burst(event, "inactive_per_client", event.client_id, self._rules.inactive_per_client)
        if event.result == UNKNOWN and self._is_another(event):
            limit = self._rules.unknown_tokens_per_client
            yield from self._burst(event, "unknown_tokens_per_client", event.client_id, limit)

    def _burst(self, event: Event, rule: str, subject: str, limit: int) -> Iterator[Alert]:
        name = (rule, subject)
        if self._on_count is not None:
            self._on_count(_alert(event, rule, subject, 1), limit)
        self._counts.add(name, event.at)
        count = self._counts.seen(name, event.at)
        if count >= limit and event.at >= self._told_at.get(name, 0.0) + WINDOW_SECONDS:
            if len(self._told_at) >= MAX_KEYS:
                self._told_at.clear()
            self._told_at[name] = event.at
            yield _alert(event, rule, subject, int(count))

    def _is_another(self, event: Event) -> bool:
        """Whether this client has not asked about this token within the minute."""
        if event.at >= self._marks_since + WINDOW_SECONDS or len(self._marks) >= MAX_KEYS:
            self._marks = set()
            self._marks_since = event.at
        mark = (event.client_id, event.token_mark)
        is_another = mark not in self._marks
        self._marks.add(mark)
        return is_another

    def _is_new(self, event: Event) -> bool:
        if event.client_id not in self._addresses and len(self._addresses) >= MAX_CLIENTS:
            del self._addresses[next(iter(self._addresses))]
        since, known = self._addresses.setdefault(event.client_id, (event.at, set()))
        if event.address in known or len(known) >= MAX_ADDRESSES:
            return False
        known.add(event.address)
        return event.at >= since + LEARNING_SECONDS


def _alert(event: Event, rule: str, subject: str, count: int) -> Alert:
    return Alert(rule=rule, at=event.at, subject=subject, client_id=event.client_id, address=event.address, count=count)

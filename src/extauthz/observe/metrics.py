"""Prometheus metrics. Label values come from the policy and from our own words, never from a request."""

import os
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter as CounterMetric,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from extauthz.core.decision import ALLOWING, Reason, true_reason
from extauthz.observe.events import Checked, Happened, Happening, Introspected
from extauthz.observe.states import States
from extauthz.version import VERSION

_CHECK_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_INTROSPECTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_ASKED = frozenset({"", "server"})
"""Levels of decisions that saved no question: none was needed, or it was asked."""

_RELOADS = {
    Happening.POLICY_RELOADED: "reloaded",
    Happening.POLICY_UNCHANGED: "unchanged",
    Happening.POLICY_REFUSED: "refused",
}

_INACTIVE = frozenset({Reason.INACTIVE, Reason.WRONG_ISSUER, Reason.NOT_AN_ACCESS_TOKEN, Reason.SENDER_CONSTRAINED})


_AT_A_SERVER = (
    Happening.ALL_INACTIVE,
    Happening.SELF_CHECK_FAILED,
    Happening.RETRY_BUDGET_SPENT,
    Happening.DISCOVERY_FAILED,
    Happening.KEYS_UNREACHABLE,
    Happening.CLAIM_MISMATCH,
)
"""What wakes an operator, or should."""


class Metrics:
    """Counts events. With several workers the numbers of all are summed by way of `PROMETHEUS_MULTIPROC_DIR`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = CounterMetric(
            "extauthz_decisions",
            "Decisions made.",
            ("door", "outcome", "reason", "rule"),
            registry=self._registry,
        )
        self._shadowed = CounterMetric(
            "extauthz_shadowed",
            "Requests that a shadow route let pass, by the reason for which it would have denied them.",
            ("reason", "rule"),
            registry=self._registry,
        )
        self._contrasts = CounterMetric(
            "extauthz_candidate_contrasts",
            "Requests about which the candidate policy says otherwise, by the rule that decided them.",
            ("kind", "rule"),
            registry=self._registry,
        )
        self._check_seconds = Histogram(
            "extauthz_check_seconds",
            "Time from question to answer, by where the token's state came from (empty: no token was needed).",
            ("level",),
            buckets=_CHECK_BUCKETS,
            registry=self._registry,
        )
        self._introspection_seconds = Histogram(
            "extauthz_introspection_seconds",
            "Time of a question to an authorization server, by outcome.",
            ("server", "outcome"),
            buckets=_INTROSPECTION_BUCKETS,
            registry=self._registry,
        )
        self._saved = CounterMetric(
            "extauthz_introspections_saved",
            "Questions that needed no request to an authorization server, by what saved them.",
            ("by",),
            registry=self._registry,
        )
        self._happenings = CounterMetric(
            "extauthz_happenings",
            "What happened to parts of the service: circuits, retries, caches, keys, secrets.",
            ("what", "subject"),
            registry=self._registry,
        )
        self._max_staleness = Gauge(
            "extauthz_max_staleness_seconds",
            "No answer about a token is older than this: the ttl, and stale_if_error while the server cannot be asked.",
            ("server",),
            multiprocess_mode="livemax",
            registry=self._registry,
        )
        self._checks_waiting = Gauge(
            "extauthz_checks_waiting",
            "Checks under way: they wait to learn what a token means.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._reloads = CounterMetric(
            "extauthz_reloads", "Reloads of the files, by what came of them.", ("result",), registry=self._registry
        )
        for result in _RELOADS.values():
            self._reloads.labels(result)
        self._loaded_at = Gauge(
            "extauthz_last_reload_success_timestamp_seconds",
            "When the policy in force was loaded, or was last found to be that of the files; of several workers, the oldest.",
            multiprocess_mode="livemin",
            registry=self._registry,
        )
        self._loaded_at.set_to_current_time()
        self._waiting: Callable[[], int] = lambda: 0
        self._states = States(self._registry)
        self._staleness: dict[str, tuple[float, float]] = {}
        self._audit_lost = CounterMetric(
            "extauthz_audit_lost", "Decisions missing from the audit log.", registry=self._registry
        )
        build = Gauge("extauthz_build_info", "Version.", ("version",), multiprocess_mode="max", registry=self._registry)
        build.labels(VERSION).set(1)
        self._decisions_made: Counter[tuple[str, Reason, str, str]] = Counter()
        self._known_decisions: dict[tuple[str, Reason, str], CounterMetric] = {}
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def checked(self, event: Checked) -> None:
        """Count a decision and its time."""
        self.record((event,))

    def record(self, events: Sequence[Checked]) -> None:
        """Count decisions and their times. The library learns of them in `flush`: it takes its time for each number."""
        self._decisions_made.update(
            [(event.door, event.decision.reason, event.decision.rule, event.level) for event in events]
        )
        for event in events:
            self._times[event.level].append(event.took_seconds)
            if event.decision.reason is Reason.SHADOW:
                self._shadowed.labels(true_reason(event.decision).value, event.decision.rule).inc()
            if event.contrast is not None:
                self._contrasts.labels(event.contrast.kind.value, event.decision.rule).inc()

    def flush(self) -> None:
        """Publish what was counted. To be called now and then: other workers tell our numbers too."""
        self._checks_waiting.set(self._waiting())
        decisions, self._decisions_made = self._decisions_made, Counter()
        times, self._times = self._times, defaultdict(list)
        saved: Counter[str] = Counter()
        for (door, reason, rule, level), count in decisions.items():
            self._decisions_of(door, reason, rule).inc(count)
            if level not in _ASKED:
                saved[_saved_by(level, reason)] += count
        for by, count in saved.items():
            self._saved.labels(by).inc(count)
        for level, seconds in times.items():
            _observe_all(self._check_seconds.labels(level), seconds)

    def _decisions_of(self, door: str, reason: Reason, rule: str) -> CounterMetric:
        """The counter of this kind of decisions; the library looks long for it."""
        key = door, reason, rule
        if key not in self._known_decisions:
            outcome = "allow" if reason in ALLOWING else "deny"
            self._known_decisions[key] = self._decisions.labels(door, outcome, reason.value, rule)
        return self._known_decisions[key]

    def introspected(self, event: Introspected) -> None:
        """Count a question to an authorization server and its time."""
        self._introspection_seconds.labels(event.server, event.outcome).observe(event.took_seconds)
        usual, degraded = self._staleness.get(event.server, (0.0, 0.0))
        if usual != degraded:
            answered = event.outcome in ("active", "inactive")
            self._max_staleness.labels(event.server).set(usual if answered else degraded)

    def happened(self, event: Happened) -> None:
        """Count what happened to a part of the service."""
        if event.what is Happening.BATCHED:
            self._saved.labels("batch").inc(event.count)
        if event.what in _RELOADS:
            self._reloads.labels(_RELOADS[event.what]).inc(event.count)
            if event.what is not Happening.POLICY_REFUSED:
                self._loaded_at.set_to_current_time()
        self._states.happened(event)
        self._happenings.labels(event.what.value, event.subject).inc(event.count)

    def bound_staleness(self, server: str, seconds: float, degraded_seconds: float) -> None:
        """How old answers of a server may become, while it answers and while it does not."""
        self._staleness[server] = (seconds, degraded_seconds)
        self._max_staleness.labels(server).set(seconds)

    def asks(self, server: str) -> None:
        """Questions go to this server. What may go wrong with it is there from the start, at zero: else an alert would miss the first time."""
        self._states.server(server)
        for what in _AT_A_SERVER:
            self._happenings.labels(what.value, server)
        self._introspection_seconds.labels(server, Reason.SERVER_REFUSED_US.value)

    def revocations_connected(self, connected: bool) -> None:
        """Whether notices of revocation arrive."""
        self._states.revocations_connected(connected)

    def count_waiting(self, waiting: Callable[[], int]) -> None:
        """How many checks are under way is to be read here."""
        self._waiting = waiting

    def audit_lost(self, count: int) -> None:
        """Count decisions that the audit log had to drop."""
        self._audit_lost.inc(count)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics page and its content type."""
        self.flush()
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no types here
        return generate_latest(registry), CONTENT_TYPE_LATEST


def _saved_by(level: str, reason: Reason) -> str:
    """The level, but what is known about bad tokens and what limits them are told apart from what good ones save."""
    if reason is Reason.TOO_MANY_INACTIVE:
        return "limit"
    if level == "refused":
        return "shape"
    return "negative" if level == "memory" and reason in _INACTIVE else level


def _observe_all(histogram: Histogram, values: list[float]) -> None:
    """`histogram.observe` for many values: the library has no call for that, so this reaches into it."""
    buckets = Counter(bisect_left(_CHECK_BUCKETS, value) for value in values)
    for index, count in buckets.items():
        histogram._buckets[index].inc(count)  # noqa: SLF001 - see above; a test compares with `observe`
    histogram._sum.inc(sum(values))  # noqa: SLF001 - see above

"""Prometheus metrics. Label values come from the policy and from our own words, never from a request."""

import os

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from extauthz import __version__
from extauthz.core.decision import Allow
from extauthz.observe.events import Checked, Introspected

_CHECK_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
_INTROSPECTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """Counts events. With several workers the numbers of all are summed by way of `PROMETHEUS_MULTIPROC_DIR`."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._decisions = Counter(
            "extauthz_decisions",
            "Decisions made.",
            ("door", "outcome", "reason", "rule"),
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
        self._audit_lost = Counter(
            "extauthz_audit_lost", "Decisions missing from the audit log.", registry=self._registry
        )
        build = Gauge("extauthz_build_info", "Version.", ("version",), multiprocess_mode="max", registry=self._registry)
        build.labels(__version__).set(1)
        self._decision_children: dict[tuple[str, object, str], Counter] = {}
        self._level_children: dict[str, Histogram] = {}

    def checked(self, event: Checked) -> None:
        """Count a decision and its time."""
        decision = event.decision
        key = (event.door, decision.reason, decision.rule)
        counter = self._decision_children.get(key)
        if counter is None:
            outcome = "allow" if isinstance(decision, Allow) else "deny"
            counter = self._decisions.labels(event.door, outcome, decision.reason.value, decision.rule)
            self._decision_children[key] = counter
        counter.inc()
        seconds = self._level_children.get(event.level)
        if seconds is None:
            seconds = self._level_children[event.level] = self._check_seconds.labels(event.level)
        seconds.observe(event.took_seconds)

    def introspected(self, event: Introspected) -> None:
        """Count a question to an authorization server and its time."""
        self._introspection_seconds.labels(event.server, event.outcome).observe(event.took_seconds)

    def audit_lost(self, count: int) -> None:
        """Count decisions that the audit log had to drop."""
        self._audit_lost.inc(count)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics page and its content type."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no types here
        return generate_latest(registry), CONTENT_TYPE_LATEST

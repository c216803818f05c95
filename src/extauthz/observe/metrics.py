"""Prometheus metrics. Label values come from the policy and from our own words, never from a request."""

import os
from collections.abc import Callable, Sequence
from functools import partial

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from extauthz.core.decision import Reason
from extauthz.observe.certificates import CertificateEnds
from extauthz.observe.decisions import Decisions
from extauthz.observe.events import Checked, Happened, Happening, Introspected
from extauthz.observe.reloads import Reloads
from extauthz.observe.staleness import Staleness
from extauthz.observe.states import States
from extauthz.version import VERSION

_INTROSPECTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

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
        counter = partial(Counter, registry=self._registry)
        self._decisions = Decisions(self._registry)
        self._introspection_seconds = Histogram(
            "extauthz_introspection_seconds",
            "Time of a question to an authorization server, by outcome.",
            ("server", "outcome"),
            buckets=_INTROSPECTION_BUCKETS,
            registry=self._registry,
        )
        self._saved = counter(
            "extauthz_introspections_saved",
            "Questions that needed no request to an authorization server, by what saved them.",
            ("by",),
        )
        self._happenings = counter(
            "extauthz_happenings",
            "What happened to parts of the service: circuits, retries, caches, keys, secrets.",
            ("what", "subject"),
        )
        self._audit_lost = counter("extauthz_audit_lost", "Decisions missing from the audit log.")
        self._checks_waiting = Gauge(
            "extauthz_checks_waiting",
            "Checks under way: they wait to learn what a token means.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._waiting: Callable[[], int] = lambda: 0
        self._staleness = Staleness(self._registry)
        self._reloads = Reloads(self._registry)
        self._states = States(self._registry)
        self._certificate_ends = CertificateEnds(self._registry)
        _tell_version(self._registry)

    def checked(self, event: Checked) -> None:
        """Count a decision and its time."""
        self.record((event,))

    def record(self, events: Sequence[Checked]) -> None:
        """Count decisions and their times."""
        self._decisions.record(events)

    def flush(self) -> None:
        """Publish what was counted. To be called now and then: other workers tell our numbers too."""
        self._checks_waiting.set(self._waiting())
        for by, count in self._decisions.flush().items():
            self._saved.labels(by).inc(count)

    def introspected(self, event: Introspected) -> None:
        """Count a question to an authorization server and its time."""
        self._introspection_seconds.labels(event.server, event.outcome).observe(event.took_seconds)
        self._staleness.introspected(event)

    def happened(self, event: Happened) -> None:
        """Count what happened to a part of the service."""
        if event.what is Happening.BATCHED:
            self._saved.labels("batch").inc(event.count)
        self._reloads.happened(event)
        self._states.happened(event)
        self._happenings.labels(event.what.value, event.subject).inc(event.count)

    def bound_staleness(self, server: str, seconds: float, degraded_seconds: float) -> None:
        """How old answers of a server may become, while it answers and while it does not."""
        self._staleness.bound(server, seconds, degraded_seconds)

    def asks(self, server: str) -> None:
        """Questions go to this server. What may go wrong with it is there from the start, at zero: else an alert would miss the first time."""
        self._states.server(server)
        for what in _AT_A_SERVER:
            self._happenings.labels(what.value, server)
        self._introspection_seconds.labels(server, Reason.SERVER_REFUSED_US.value)

    def shares_cache(self) -> None:
        """There is a cache that processes share."""
        self._states.shares_cache()

    def certificate_ends(self, use: str, server: str, ends: float) -> None:
        """When a certificate that is in use now ends, in seconds since the epoch."""
        self._certificate_ends.set(use, server, ends)

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


def _tell_version(registry: CollectorRegistry) -> None:
    build = Gauge("extauthz_build_info", "Version.", ("version",), multiprocess_mode="max", registry=registry)
    build.labels(VERSION).set(1)

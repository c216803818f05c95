"""Prometheus metrics of the authorization server. Label values are words of ours, never from a request."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from extauthz.authserver.events import Alert, Event

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Counts events. With several workers the numbers of all are summed by way of ``PROMETHEUS_MULTIPROC_DIR``."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "authserver_events", "What was asked for and what came of it.", ("kind", "result"), registry=self._registry
        )
        self._seconds = Histogram(
            "authserver_seconds", "Time to an answer.", ("kind",), buckets=_BUCKETS, registry=self._registry
        )
        self._children: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._alerts = Counter(
            "authserver_alerts", "Anomalies that were seen, by rule.", ("rule",), registry=self._registry
        )
        self._lost = Counter(
            "authserver_lost", "What could not be written or sent.", ("what",), registry=self._registry
        )
        self._certificate_ends = Gauge(
            "extauthz_certificate_not_after_timestamp_seconds",  # that of the service, so that one alert holds for both
            "When the certificate of the listener ends; of several workers, the first.",
            ("use", "server"),
            multiprocess_mode="livemin",
            registry=self._registry,
        )

    def saw(self, event: Event) -> None:
        """Count an event and its time."""
        name = (event.kind.value, event.result)
        found = self._children.get(name)
        if found is None:  # looking a child up by its labels costs more than counting
            found = self._children[name] = (self._events.labels(*name), self._seconds.labels(event.kind.value))
        counter, seconds = found
        counter.inc()
        seconds.observe(event.took_seconds)

    def alerted(self, alert: Alert) -> None:
        """Count an alert."""
        self._alerts.labels(alert.rule).inc()

    def certificate_ends(self, ends: float) -> None:
        """When the certificate that is shown now ends, in seconds since the epoch."""
        self._certificate_ends.labels("authserver", "").set(ends)

    def audit_lost(self, count: int) -> None:
        """Count lines that the audit record does not have."""
        self._lost.labels("audit").inc(count)

    def alerts_lost(self, count: int) -> None:
        """Count alerts that the webhook did not take."""
        self._lost.labels("alert").inc(count)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics page and its content type."""
        registry = self._registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library has no types here
        return generate_latest(registry), CONTENT_TYPE_LATEST

"""How old answers of each authorization server may be, as a gauge that follows whether it answers."""

from prometheus_client import CollectorRegistry, Gauge

from extauthz.observe.events import Introspected


class Staleness:
    """A server has a bound while it answers, in seconds, and another while it does not."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Gauge(
            "extauthz_max_staleness_seconds",
            "No answer about a token is older than this: the ttl, and stale_if_error while the server cannot be asked.",
            ("server",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._bounds: dict[str, tuple[float, float]] = {}

    def bound(self, server: str, seconds: float, degraded_seconds: float) -> None:
        """Set both bounds of a server, which answers until it does not."""
        self._bounds[server] = (seconds, degraded_seconds)
        self._seconds.labels(server).set(seconds)

    def introspected(self, event: Introspected) -> None:
        """Learn from a question whether the server answers."""
        usual, degraded = self._bounds.get(event.server, (0.0, 0.0))
        if usual != degraded:
            answered = event.outcome in ("active", "inactive")
            self._seconds.labels(event.server).set(usual if answered else degraded)

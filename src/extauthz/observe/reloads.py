"""Reloads as metrics: what came of each, and when the policy in force was loaded."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from extauthz.observe.events import Happened, Happening

_RESULTS: Final[Mapping[Happening, str]] = {
    Happening.POLICY_RELOADED: "reloaded",
    Happening.POLICY_UNCHANGED: "unchanged",
    Happening.POLICY_REFUSED: "refused",
}


class Reloads:
    """All results are there from the start, at zero; what we start with counts as loaded now."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reloads = Counter(
            "extauthz_reloads", "Reloads of the files, by what came of them.", ("result",), registry=registry
        )
        for result in _RESULTS.values():
            self._reloads.labels(result)
        self._loaded_at = Gauge(
            "extauthz_last_reload_success_timestamp_seconds",
            "When the policy in force was loaded, or was last found to be that of the files; of several workers, the oldest.",
            multiprocess_mode="livemin",
            registry=registry,
        )
        self._loaded_at.set_to_current_time()

    def happened(self, event: Happened) -> None:
        """Count it if it is the end of a reload."""
        if event.what not in _RESULTS:
            return
        self._reloads.labels(_RESULTS[event.what]).inc(event.count)
        if event.what is not Happening.POLICY_REFUSED:
            self._loaded_at.set_to_current_time()

"""The state of parts of the service as gauges: what happened last to each tells whether it works now."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from extauthz.observe.events import Happened, Happening

_CIRCUIT: Final = "extauthz_circuit_open"
_REVOCATIONS: Final = "extauthz_revocations_connected"
_SHARED_CACHE: Final = "extauthz_shared_cache_up"
_GAUGES: Final[Mapping[str, str]] = {
    _SHARED_CACHE: "1 while the cache that processes share is used: Redis answers, and notices of revocation arrive. Also 1 when there is none.",
    _REVOCATIONS: "1 while notices of revocation arrive from other processes, and when there are none.",
    "extauthz_audit_writable": "1 while the audit log can be written, and when there is none.",
    "extauthz_reload_good": "1 unless the files were refused when they were last read again.",
}
MEANINGS: Final[Mapping[Happening, tuple[str, int]]] = {
    Happening.CIRCUIT_OPENED: (_CIRCUIT, 1),
    Happening.CIRCUIT_CLOSED: (_CIRCUIT, 0),
    Happening.SHARED_CACHE_DOWN: (_SHARED_CACHE, 0),
    Happening.SHARED_CACHE_BACK: (_SHARED_CACHE, 1),
    Happening.REVOCATIONS_CONNECTED: (_REVOCATIONS, 1),
    Happening.REVOCATIONS_CUT: (_REVOCATIONS, 0),
    Happening.REVOCATIONS_BACK: (_REVOCATIONS, 1),
    Happening.AUDIT_FAILED: ("extauthz_audit_writable", 0),
    Happening.AUDIT_BACK: ("extauthz_audit_writable", 1),
    Happening.POLICY_REFUSED: ("extauthz_reload_good", 0),
    Happening.POLICY_RELOADED: ("extauthz_reload_good", 1),
    Happening.POLICY_UNCHANGED: ("extauthz_reload_good", 1),
}


class States:
    """Of several workers the one that is worst off counts; at the start all is well."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._circuit = Gauge(
            _CIRCUIT,
            "1 while a server failed so often that it is left alone.",
            ("server",),
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._gauges = {
            name: Gauge(name, text, multiprocess_mode="livemin", registry=registry) for name, text in _GAUGES.items()
        }
        self._told = dict.fromkeys(_GAUGES, 1)
        self._shares_cache = False
        for gauge in self._gauges.values():
            gauge.set(1)

    def server(self, name: str) -> None:
        """There is a server of that name."""
        self._circuit.labels(name).set(0)

    def shares_cache(self) -> None:
        """There is a cache that processes share."""
        self._shares_cache = True

    def revocations_connected(self, connected: bool) -> None:
        """Whether notices of revocation arrive."""
        self._set(_REVOCATIONS, int(connected))

    def happened(self, event: Happened) -> None:
        """Remember it if it is about a state."""
        name, value = MEANINGS.get(event.what, ("", 0))
        if name == _CIRCUIT:
            self._circuit.labels(event.subject).set(value)
        elif name:
            self._set(name, value)

    def _set(self, name: str, value: int) -> None:
        """The shared cache is used only while notices arrive: else nobody would know what of it was revoked."""
        self._told[name] = value
        self._gauges[name].set(value)
        if self._shares_cache:
            self._gauges[_SHARED_CACHE].set(min(self._told[_SHARED_CACHE], self._told[_REVOCATIONS]))

"""The certificates of our own that are in use: when each ends is measured, and one that is not good now is told."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge

from extauthz.keyfiles import UnusableError, read_validity
from extauthz.observe.events import Happened, Happening, Observer


class Use(StrEnum):
    """Where we show a certificate. Stable: a metric label."""

    LISTENER = "listener"
    AUTHORIZATION_SERVER = "authorization_server"
    SHARED_CACHE = "shared_cache"


class CertificateEnds:
    """When each ends, as a gauge. While workers do not show the same one, the first end counts."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ends = Gauge(
            "extauthz_certificate_not_after_timestamp_seconds",
            "When a certificate of our own ends, by where it is shown; of several workers, the first.",
            ("use", "server"),
            multiprocess_mode="livemin",
            registry=registry,
        )

    def set(self, use: str, server: str, ends: float) -> None:
        """It is in use now. `server`: which authorization server, empty for any other use."""
        self._ends.labels(use, server).set(ends)


class Certificates:
    """To be told of each that is taken into use. One that is not good is used all the same: others may refuse it.

    Args:
        measure: takes use, authorization server and the end in seconds since the epoch.
        observer: is told of one that is not good.
        wall: seconds since the epoch.
    """

    def __init__(
        self, measure: Callable[[str, str, float], None], observer: Observer, *, wall: Callable[[], float]
    ) -> None:
        self._measure = measure
        self._observer = observer
        self._wall = wall

    def taken(self, path: Path | None, use: Use, server: str = "") -> None:
        """The file is in use from now on; None where no certificate is shown."""
        if path is None:
            return
        try:
            validity = read_validity(path)
        except UnusableError as error:  # OpenSSL has taken it, so it goes on
            objection = str(error)
        else:
            self._measure(use.value, server, validity.ends)
            objection = validity.objection(self._wall())
        if objection:
            what = Happening.CERTIFICATE_NOT_VALID
            self._observer.happened(Happened(what=what, subject=server or use.value, detail=f"{path}: {objection}"))
